"""What PostgreSQL refuses, told without values of rows: its detail holds them, and some of its lines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from rollback.database.locks import BUSY
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection

__all__ = ["refusals", "told"]


def told(error: psycopg.Error) -> str:
    """What PostgreSQL says, in a sentence without its full stop."""
    if isinstance(error, psycopg.DataError):
        return f"a value does not fit into the type of before ({type(error).__name__})"
    return (error.diag.message_primary or type(error).__name__).rstrip(".")


@contextmanager
def refusals(session: Connection, what: str, next_step: str) -> Iterator[None]:
    """Tell the errors of the block; that something was busy is left to whoever tries again.

    Raises:
        Refused: PostgreSQL refuses `what`.
        Failed: the connection is gone, and nobody knows what was committed.
    """
    try:
        yield
    except BUSY:
        raise
    except psycopg.Error as error:
        said = told(error)
        if session.broken or session.closed:
            raise Failed(f"The connection was lost: {said}.", "`rollback resume` looks what stands") from error
        raise Refused(f"PostgreSQL refuses {what}: {said}.", next_step) from error
