"""Running a script on a session: in one transaction, or statement by statement where PostgreSQL demands it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from pglast import ast
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from rollback.database.migrations.script import Script, Statement
    from rollback.database.server import Connection

__all__ = ["Failure", "Ran", "run"]

#: "cannot run inside a transaction block", and a new enum value that is used before it is committed.
_NOT_IN_A_TRANSACTION = frozenset({"25001", "55P04"})
_SHOWN = 120


@dataclass(frozen=True)
class Failure:
    """The statement that failed and why.

    Attributes:
        line: of the statement, from 1.
        statement: its beginning.
        sqlstate: PostgreSQL's code; empty where the file itself could not be understood.
        message: PostgreSQL's own words.
        hint: PostgreSQL's detail and hint.
        file: the included file that it stands in, if any.
    """

    line: int
    statement: str
    sqlstate: str
    message: str
    hint: str = ""
    file: str = ""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.file} line" if self.file else "line"
        code = f" [{self.sqlstate}]" if self.sqlstate else ""
        more = f" ({self.hint})" if self.hint else ""
        what = f" `{self.statement}`" if self.statement else ""
        return f"{where} {self.line}:{what} {self.message}{code}{more}"


@dataclass(frozen=True)
class Ran:
    """How a script ended; `whole`: it ran in one transaction, so that a failure leaves nothing behind."""

    failure: Failure | None
    whole: bool


def run(connection: Connection, script: Script) -> Ran:
    """Run a script on a session in autocommit; it stops at the first statement that fails, and raises nothing.

    A file runs in one transaction, unless it controls transactions itself or holds a statement that PostgreSQL
    refuses inside of one: then statement by statement, as psql does.
    """
    if script.fatal:
        first = script.fatal[0]
        return Ran(Failure(first.line, "", "", first.text), whole=True)
    if any(isinstance(one.node, ast.TransactionStmt) for one in script.statements):
        return Ran(_one_by_one(connection, script), whole=False)
    failure = _together(connection, script)
    if failure and failure.sqlstate in _NOT_IN_A_TRANSACTION:
        return Ran(_one_by_one(connection, script), whole=False)
    return Ran(failure, whole=True)


def _together(connection: Connection, script: Script) -> Failure | None:
    connection.execute("BEGIN")
    failure = _each(connection, script)
    last = script.statements[-1] if script.statements else None
    try:
        connection.execute("ROLLBACK" if failure else "COMMIT")
    except psycopg.Error as error:  # a deferred constraint, or the session is gone
        failure = failure or _failure(last, error, at="COMMIT")
    return failure


def _one_by_one(connection: Connection, script: Script) -> Failure | None:
    failure = _each(connection, script)
    if connection.closed or connection.info.transaction_status == TransactionStatus.IDLE:
        return failure
    connection.execute("ROLLBACK")
    last = script.statements[-1]
    return failure or Failure(last.line, "", "", "a transaction is begun and never committed; nothing of it stays")


def _each(connection: Connection, script: Script) -> Failure | None:
    for one in script.statements:
        try:
            _execute(connection, one)
        except psycopg.Error as error:
            return _failure(one, error)
    return None


def _execute(connection: Connection, one: Statement) -> None:
    if isinstance(one.node, ast.CopyStmt) and one.node.filename is None and not one.node.is_program:
        with connection.cursor() as cursor, cursor.copy(one.text.encode()) as copy:
            if one.data is not None:
                copy.write(one.data.encode())
            else:
                for _ in copy:
                    pass
    else:
        connection.execute(one.text.encode())


def _failure(one: Statement | None, error: psycopg.Error, *, at: str = "") -> Failure:
    message = error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]
    more = "; ".join(filter(None, (error.diag.message_detail, error.diag.message_hint, error.diag.context)))
    text = at or (" ".join(one.text.split())[:_SHOWN] if one else "")
    where = (one.line, one.file) if one else (1, "")
    return Failure(where[0], text, error.sqlstate or "", message, " ".join(more.split()), where[1])
