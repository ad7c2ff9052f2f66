"""The script that takes a migration back, read before it runs: what no proof can make good is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pglast import ast

from rollback.database.migrations.gate import DANGER, findings
from rollback.database.migrations.script import read, walk
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from rollback.database.migrations.script import Script

__all__ = ["plain", "runnable", "undoable"]

#: What reaches beyond the database, or beyond the transaction: no proof sees it.
_BEYOND = (
    ast.VariableSetStmt, ast.CreateRoleStmt, ast.AlterRoleStmt, ast.AlterRoleSetStmt, ast.DropRoleStmt,
    ast.GrantRoleStmt, ast.CreatedbStmt, ast.DropdbStmt, ast.AlterDatabaseStmt, ast.AlterDatabaseSetStmt,
    ast.AlterSystemStmt, ast.LockStmt, ast.DoStmt, ast.CallStmt, ast.NotifyStmt, ast.DiscardStmt,
)  # fmt: skip
_OUT_OF_SIGHT = frozenset({"setval", "set_config", "pg_terminate_backend", "dblink", "dblink_exec", "lo_unlink"})
_CONCURRENTLY = re.compile(r"\bconcurrently\b", re.IGNORECASE)


def runnable(up: Path, down: Path) -> str:
    """The SQL of a rollback script as one transaction can run it: without psql's commands and without CONCURRENTLY.

    No transaction allows CONCURRENTLY, and none is needed behind locks that are given up soon.

    Args:
        up: the migration.
        down: the script.

    Raises:
        Refused: it is not SQL, holds a psql command that is not followed, or a statement that may do what nobody
            asked for; all of it is named, by line.
    """
    script = read(down, down.parent)
    wrong = [str(one) for one in script.fatal]
    wrong += [f"line {one.line}: not SQL" for one in script.statements if one.node is None]
    wrong += [f"line {one.line}: rows of COPY" for one in script.statements if one.data is not None]
    wrong += [str(one) for one in findings(script, read(up, up.parent)) if one.severity == DANGER]
    wrong += _beyond(script)
    if wrong:
        raise Refused(
            f"{down.name} holds what no proof can make good: {'; '.join(wrong)}.",
            "write it so that each object and row is named",
        )
    return _joined(script)


def plain(up: Path) -> str:
    """A migration's SQL as it was meant to be applied, without psql's commands and without CONCURRENTLY."""
    return _joined(read(up, up.parent))


def undoable(up: Path, tables: Collection[str], columns: Mapping[str, Collection[str]]) -> list[str]:
    """Why no script can take a migration back with proof: what it did to rows, or out of sight.

    Args:
        up: the migration.
        tables: those that it made.
        columns: those that it added, by table.
    """
    script = read(up, up.parent)
    told = [str(one) for one in script.fatal] + _beyond(script)
    for one in script.statements:
        for node in walk(one.node):
            told += [f"line {one.line}: {why}" for why in _rows_changed(node, tables, columns)]
    return told


def _rows_changed(node: Any, tables: Collection[str], columns: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Rows that were there before: their old values are in no script."""
    if isinstance(node, ast.TransactionStmt):
        yield "it controls transactions itself"
    if isinstance(node, ast.TruncateStmt):
        yield "TRUNCATE: the rows are gone"
    if isinstance(node, ast.UpdateStmt | ast.DeleteStmt | ast.InsertStmt | ast.MergeStmt):
        relation: Any = node.relation
        table = f"{relation.schemaname or 'public'}.{relation.relname}"
        set_to = {one.name for one in node.targetList or ()} if isinstance(node, ast.UpdateStmt) else None
        if table not in tables and not (set_to and set_to <= set(columns.get(table, ()))):
            yield f"rows of {table} were changed: what they were is in no script"


def _beyond(script: Script) -> list[str]:
    told = []
    for one in script.statements:
        for node in walk(one.node):
            if isinstance(node, _BEYOND):
                told.append(f"line {one.line}: {one.kind}: no proof sees what it does")
            elif isinstance(node, ast.FuncCall) and (name := _called(node)) in _OUT_OF_SIGHT:
                told.append(f"line {one.line}: {name}(): no transaction takes it back")
    return told


def _called(node: ast.FuncCall) -> str:
    words: Any = node.funcname
    return str(words[-1].sval).lower()


def _joined(script: Script) -> str:
    return "".join(f"{_plain(one.text, one.node)};\n" for one in script.statements)


def _plain(text: str, node: Any) -> str:
    """Without the first CONCURRENTLY, which in these statements is never a name."""
    concurrent = isinstance(node, ast.DropStmt | ast.IndexStmt) and bool(node.concurrent)
    return _CONCURRENTLY.sub("", text, count=1) if concurrent else text
