"""What in a migration or its rollback is dangerous, told from its text alone (squawk has no rule for most of it).

Pure: PostgreSQL's own parse tree in, findings out. What the text cannot tell (DO blocks, EXECUTE) is said to be opaque.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pglast import ast, enums

from rollback.database.migrations.made import label, made
from rollback.database.migrations.script import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.database.migrations.script import Script, Statement

__all__ = ["DANGER", "NOTE", "Finding", "findings"]

DANGER, NOTE = "danger", "note"
_Told = tuple[str, str, str]  # severity, object, why


@dataclass(frozen=True)
class Finding:
    """One thing that a reviewer should see.

    Attributes:
        severity: `danger` (data or a guarantee can be lost) or `note`.
        line: of its statement.
        kind: of its statement, e.g. `DROP TABLE`.
        object: what it is done to; empty where it has no name.
        why: what can happen.
        file: the included file that it stands in, if any.
    """

    severity: str
    line: int
    kind: str
    object: str
    why: str
    file: str = ""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.file} line" if self.file else "line"
        return f"{where} {self.line}: {' '.join(filter(None, (self.kind, self.object)))}: {self.why}"


def findings(script: Script, undone: Script | None = None) -> list[Finding]:
    """Every finding, in the order of lines.

    Args:
        script: what is judged.
        undone: for a rollback, the migration that it takes back; what that made may be dropped.
    """
    ours = None if undone is None else made(undone)
    new = made(script)
    found: list[Finding] = []
    for one in script.statements:
        told = dict.fromkeys((*_drops(one, ours), *_elsewhere(one)))
        found += [
            Finding(severity, one.line, one.kind, name, why, one.file)
            for severity, name, why in told
            if not (why in _OF_BIG_TABLES and _is_ours(name, new))
        ]
    return found


def _elsewhere(one: Statement) -> Iterator[_Told]:
    """The rules that need nothing but the node; statements inside of others (WITH ... DELETE) count."""
    if one.node is None:
        yield NOTE, "", "PostgreSQL's parser makes nothing of it"
    for node in walk(one.node):
        rule = _RULES.get(type(node))
        # the SET of an ALTER ROLE, ALTER FUNCTION ... is not the session's
        if rule and (node is one.node or rule is not _set):
            yield from rule(node)
        if getattr(node, "behavior", None) == enums.DropBehavior.DROP_CASCADE:
            yield DANGER, label(node), "CASCADE takes whatever depends on it along, with a notice only"


def _drops(one: Statement, ours: frozenset[str] | None) -> Iterator[_Told]:
    """What is dropped: for a rollback only what the migration made is harmless."""
    for node in walk(one.node):
        for kind, name in _dropped(node):
            holds_data = kind in _HOLD_DATA
            if ours is None and holds_data:
                yield DANGER, name, f"the {kind} is gone with its data; no rollback brings that back"
            elif ours is not None and not _is_ours(name, ours):
                yield DANGER, name, f"drops a {kind} that the migration is not seen to make"
            elif ours is not None and holds_data:
                yield NOTE, name, "what was written into it since the migration is lost"
        if isinstance(node, ast.DropStmt | ast.AlterTableCmd) and node.missing_ok:
            yield NOTE, label(node), "IF EXISTS hides that it is not there, or has another name"


_HOLD_DATA = frozenset({"table", "column", "schema", "sequence", "materialized view", "database", "type", "extension"})
_DROPPED_KINDS: dict[Any, str] = {
    enums.ObjectType.OBJECT_MATVIEW: "materialized view",
    enums.ObjectType.OBJECT_FOREIGN_TABLE: "foreign table",
}


def _dropped(node: Any) -> Iterator[tuple[str, str]]:
    """(kind, name) of each object that a statement drops."""
    if isinstance(node, ast.DropStmt):
        kind = _DROPPED_KINDS.get(node.removeType) or _kind(node.removeType)
        for one in node.objects or ():
            yield kind, label(one)
    elif isinstance(node, ast.AlterTableStmt):
        for cmd in node.cmds or ():
            if cmd.subtype == enums.AlterTableType.AT_DropColumn:
                yield "column", f"{label(node)}.{cmd.name}"
            elif cmd.subtype == enums.AlterTableType.AT_DropConstraint:
                yield "constraint", f"{label(node)}.{cmd.name}"
    elif isinstance(node, ast.DropdbStmt):
        yield "database", str(node.dbname)


def _kind(code: Any) -> str:
    return enums.ObjectType(code).name.removeprefix("OBJECT_").lower()


def _is_ours(name: str, ours: frozenset[str]) -> bool:
    """A column or constraint of a table that is ours is ours."""
    return name in ours or name.rpartition(".")[0] in ours or name.rpartition(".")[2] in ours


def _delete(node: Any) -> Iterator[_Told]:
    if node.whereClause is None:
        yield DANGER, label(node), "DELETE without WHERE: every row"


def _update(node: Any) -> Iterator[_Told]:
    if node.whereClause is None:
        yield DANGER, label(node), "UPDATE without WHERE: every row, and the old values are gone"


def _truncate(node: Any) -> Iterator[_Told]:
    for one in node.relations or ():
        yield DANGER, label(one), "TRUNCATE: every row"


def _transaction(node: Any) -> Iterator[_Told]:
    word = enums.TransactionStmtKind(node.kind).name.removeprefix("TRANS_STMT_")
    yield DANGER, "", f"transaction control ({word}): the file is no longer all or nothing"


def _opaque(node: Any) -> Iterator[_Told]:
    text = " ".join(str(one.arg.sval) for one in node.args or () if isinstance(one.arg, ast.String))
    dynamic = " and builds statements with EXECUTE" if "execute" in text.lower() else ""
    yield NOTE, "", f"a DO block is opaque{dynamic}: its text was not judged, only its effect"


def _call(_: Any) -> Iterator[_Told]:
    yield NOTE, "", "a procedure is opaque: its text was not judged, only its effect"


_SETS = (enums.VariableSetKind.VAR_SET_VALUE, enums.VariableSetKind.VAR_SET_CURRENT)


def _set(node: Any) -> Iterator[_Told]:
    if node.name == "session_replication_role":
        yield DANGER, str(node.name), "triggers and foreign keys are switched off"
    elif not node.is_local and node.kind in _SETS:
        yield NOTE, str(node.name or ""), "SET without LOCAL stays for what follows in the session"


def _system(_: Any) -> Iterator[_Told]:
    yield DANGER, "", "ALTER SYSTEM changes the whole server and cannot be rolled back"


def _server(node: Any) -> Iterator[_Told]:
    yield NOTE, label(node), "it belongs to the whole server, not to this database"


def _index(node: Any) -> Iterator[_Told]:
    if node.concurrent:
        yield (
            NOTE,
            str(node.idxname or ""),
            "CONCURRENTLY cannot run in a transaction; a failure leaves an invalid index",
        )
    else:
        yield NOTE, label(node.relation), _BUILDS
    if node.if_not_exists:
        yield NOTE, str(node.idxname or ""), _HIDES


_HIDES = "IF NOT EXISTS hides that it was there already; a rollback would drop what was not its own"


def _create(node: Any) -> Iterator[_Told]:
    if getattr(node, "if_not_exists", False):
        yield NOTE, label(node), _HIDES


def _enum(node: Any) -> Iterator[_Told]:
    if node.newVal and not node.oldVal:
        yield NOTE, str(node.newVal), "a value of an enum cannot be dropped again; a rollback has to make the type anew"


def _rename(node: Any) -> Iterator[_Told]:
    yield NOTE, label(node), "a release that runs meanwhile does not find it under its old name"


def _copy(node: Any) -> Iterator[_Told]:
    if node.is_program or node.filename:
        yield DANGER, label(node), "COPY with a file or program of the server"


def _vacuum(_: Any) -> Iterator[_Told]:
    yield NOTE, "", "cannot run in a transaction"


_LOCKS = "ACCESS EXCLUSIVE lock: on a big table everybody waits"
_BUILDS = "building an index stops all writes to the table while it lasts"
_READS = f"SET NOT NULL reads the whole table under an {_LOCKS}"
_CHECKS = "a new constraint is checked on every row under a lock; NOT VALID, then VALIDATE, waits for nobody"
_REWRITES = f"a change of type may rewrite the table under an {_LOCKS}"
#: Said of no table that the same script makes.
_OF_BIG_TABLES = frozenset({_BUILDS, _READS, _CHECKS, _REWRITES})
#: int8, text, numeric without digits and timestamptz hold what their smaller kin hold.
_NARROW = frozenset({"int2", "int4", "float4", "bool", "date", "timestamp", "time", "uuid", "varchar", "bpchar"})


def _alter(node: Any) -> Iterator[_Told]:
    kinds, name = enums.AlterTableType, label(node)
    for cmd in node.cmds or ():
        column = f"{name}.{cmd.name}"
        if cmd.subtype == kinds.AT_AlterColumnType:
            yield from _type(cmd, column)
        elif cmd.subtype == kinds.AT_SetNotNull:
            yield NOTE, column, _READS
        elif cmd.subtype == kinds.AT_AddConstraint and not cmd.def_.skip_validation:
            yield NOTE, name, _CHECKS
        elif cmd.subtype in (kinds.AT_DisableTrig, kinds.AT_DisableTrigAll, kinds.AT_DisableTrigUser):
            yield DANGER, name, "triggers are switched off, those of foreign keys perhaps too"


def _type(cmd: Any, column: str) -> Iterator[_Told]:
    wanted = cmd.def_.typeName
    word = wanted.names[-1].sval
    limited = bool(wanted.typmods) or word in _NARROW
    if limited:
        yield DANGER, column, f"the type becomes {word}, which may be narrower: values can be cut, rounded or refused"
    yield NOTE, column, _REWRITES


_RULES: dict[type, Callable[[Any], Iterator[_Told]]] = {
    ast.DeleteStmt: _delete,
    ast.UpdateStmt: _update,
    ast.TruncateStmt: _truncate,
    ast.TransactionStmt: _transaction,
    ast.DoStmt: _opaque,
    ast.CallStmt: _call,
    ast.VariableSetStmt: _set,
    ast.AlterSystemStmt: _system,
    ast.CreateRoleStmt: _server,
    ast.DropRoleStmt: _server,
    ast.AlterRoleStmt: _server,
    ast.CreatedbStmt: _server,
    ast.IndexStmt: _index,
    ast.CreateStmt: _create,
    ast.CreateSchemaStmt: _create,
    ast.CreateExtensionStmt: _create,
    ast.CreateSeqStmt: _create,
    ast.AlterEnumStmt: _enum,
    ast.RenameStmt: _rename,
    ast.CopyStmt: _copy,
    ast.VacuumStmt: _vacuum,
    ast.AlterTableStmt: _alter,
}
