"""Which objects a script makes, by name, so that its rollback may drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pglast import ast, enums

from rollback.database.migrations.script import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.migrations.script import Script

__all__ = ["label", "made"]


def made(script: Script) -> frozenset[str]:
    """Names of all that the script makes: "sessions", "users.last_login"; "public." is left out."""
    return frozenset(name for one in script.statements for node in walk(one.node) for name in _names(node) if name)


def _names(node: Any) -> Iterator[str]:
    attribute = _MAKERS.get(type(node))
    if attribute:
        yield label(getattr(node, attribute))
    elif isinstance(node, ast.RenameStmt):
        yield f"{label(node)}.{node.newname}" if node.relation and node.subname else str(node.newname)
    elif isinstance(node, ast.AlterTableStmt):
        for cmd in node.cmds or ():
            if cmd.subtype == enums.AlterTableType.AT_AddColumn:
                yield f"{label(node)}.{cmd.def_.colname}"
            elif cmd.subtype == enums.AlterTableType.AT_AddConstraint and cmd.def_.conname:
                yield f"{label(node)}.{cmd.def_.conname}"
    elif isinstance(node, ast.CreateTrigStmt | ast.CreatePolicyStmt | ast.RuleStmt):
        table = node.table if isinstance(node, ast.CreatePolicyStmt) else node.relation
        own = next(str(getattr(node, one)) for one in ("trigname", "policy_name", "rulename") if hasattr(node, one))
        yield f"{label(table)}.{own}"


#: Where each kind of statement keeps the name of what it makes.
_MAKERS: dict[type, str] = {
    ast.CreateStmt: "relation",
    ast.CreateTableAsStmt: "into",
    ast.ViewStmt: "view",
    ast.IndexStmt: "idxname",
    ast.CreateSeqStmt: "sequence",
    ast.CreateEnumStmt: "typeName",
    ast.CompositeTypeStmt: "typevar",
    ast.CreateRangeStmt: "typeName",
    ast.CreateDomainStmt: "domainname",
    ast.CreateSchemaStmt: "schemaname",
    ast.CreateFunctionStmt: "funcname",
    ast.CreateExtensionStmt: "extname",
    ast.CreateEventTrigStmt: "trigname",
    ast.CreateStatsStmt: "defnames",
    ast.CreatedbStmt: "dbname",
    ast.CreateRoleStmt: "role",
}


#: Where nodes keep the name of what they are about.
_ABOUT = (
    "relation", "rel", "objname", "names", "into", "name", "sequence", "schemaname", "extname", "role", "roles",
    "dbname", "objects",
)  # fmt: skip


def label(one: Any) -> str:
    """The name of an object as a node, a list of parts or a text tells it, without "public."."""
    if isinstance(one, tuple):
        return _joined(one)
    if isinstance(one, ast.String | ast.RoleSpec):
        return str((one.sval if isinstance(one, ast.String) else one.rolename) or "")
    if isinstance(one, ast.RangeVar):
        schema = one.schemaname if one.schemaname not in (None, "public") else None
        return f"{schema}.{one.relname}" if schema else str(one.relname)
    if isinstance(one, ast.Node):
        inner = (getattr(one, name, None) for name in _ABOUT)
        return next((label(each) for each in inner if each is not None), "")
    return str(one or "")


def _joined(parts: tuple[Any, ...]) -> str:
    """The parts of one name, or several names."""
    if any(not isinstance(one, ast.String) for one in parts):
        return ", ".join(filter(None, map(label, parts)))
    return ".".join(map(label, parts[1:] if len(parts) > 1 and label(parts[0]) == "public" else parts))
