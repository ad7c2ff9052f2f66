"""A condition that an operator types, read before PostgreSQL sees it: one boolean expression that only looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pglast
from pglast import ast
from pglast.parser import ParseError
from psycopg import sql

from rollback.database.migrations.script import walk
from rollback.outcome import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection

__all__ = ["EVERYTHING", "Condition", "condition"]

_NOTHING: Any = pglast.parse_sql("SELECT WHERE true")[0].stmt
_WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_VOLATILE = """
    SELECT DISTINCT proname::text FROM pg_proc WHERE proname = ANY(%s) AND provolatile = 'v' ORDER BY 1"""


@dataclass(frozen=True)
class Condition:
    """What `condition` has let pass.

    Attributes:
        text: as it was typed.
        functions: the names of those that it calls.
    """

    text: str
    functions: tuple[str, ...] = ()

    def holds(self) -> sql.Composed:
        """For a WHERE beside others; a line break ends a comment that was typed, percent signs are PostgreSQL's."""
        return sql.SQL("(({}\n) IS TRUE)").format(sql.SQL(self.text.replace("%", "%%")))

    def steady(self, session: Connection) -> None:
        """Say that it tells the same whenever it is asked, and does nothing besides.

        Raises:
            UsageError: it calls a function that PostgreSQL calls volatile; those may do anything.
        """
        found = [str(row[0]) for row in session.execute(_VOLATILE, (list(self.functions),)).fetchall()]
        if found:
            raise UsageError(f"--where calls {', '.join(found)}, which may do more than look.", "leave it out")


def condition(text: str) -> Condition:
    """Read one boolean expression over the columns of a row.

    Raises:
        UsageError: it is not one expression, or holds a statement that writes.
    """
    # alone it must not close a bracket that it has not opened, and in brackets it must not be more than an expression
    alone, within = _where(text), _where(f"({text}\n)")
    if alone is None or within is None:
        raise UsageError(
            f"--where is not one expression: {text!r}.", "e.g. --where \"created_at > '2026-01-19' AND width < 0\""
        )
    wrong = sorted(set(_wrong(alone)))
    if wrong:
        raise UsageError(f"--where holds {', '.join(wrong)}: it may only look.", "leave it out")
    return Condition(text, tuple(sorted(_functions(alone))))


def _where(text: str) -> Any:
    """The condition of a SELECT that consists of nothing else."""
    try:
        statements = pglast.parse_sql(f"SELECT WHERE {text}")
    except (ParseError, UnicodeError, ValueError):
        return None
    if len(statements) != 1:
        return None
    select = statements[0].stmt
    if not isinstance(select, ast.SelectStmt):
        return None
    others = [name for name in select if name != "whereClause"]
    if any(getattr(select, one) != getattr(_NOTHING, one) for one in others):
        return None
    return select.whereClause


def _wrong(node: Any) -> Iterator[str]:
    for one in walk(node):
        if isinstance(one, _WRITES):
            yield type(one).__name__.removesuffix("Stmt").upper()
        if isinstance(one, ast.SelectStmt) and (one.intoClause or one.lockingClause):
            yield "SELECT that makes a table or locks rows"
        if isinstance(one, ast.ParamRef):
            yield f"${one.number}"


def _functions(node: Any) -> set[str]:
    named: list[Any] = [one.funcname for one in walk(node) if isinstance(one, ast.FuncCall)]
    return {str(one[-1].sval) for one in named}


#: Where nothing was typed.
EVERYTHING = Condition("true")
