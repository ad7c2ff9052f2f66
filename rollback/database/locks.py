"""Locks of a rollback: on tables, such that nobody queues behind it for long, and on the right to migrate."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import sql

from rollback.database import holders
from rollback.database.names import relation
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rollback.database.server import Connection

__all__ = ["ADVISORY", "BUSY", "LOCK_SECONDS", "LOCK_TIMEOUT", "alone", "in_locks"]

_Done = TypeVar("_Done")

#: Held while migrations or a schema are taken back: a second operator waits for nothing and is refused.
ADVISORY = 0x5EED_0BAC

#: A try waits so long for each lock, and everybody behind it as well; then it lets go for a moment.
LOCK_TIMEOUT = "500ms"
#: Of two who wait for each other the one gives up who looks first: a user looks after a second, unless set otherwise.
DEADLOCK_TIMEOUT = "10ms"
#: How long somebody else may still be migrating.
ALONE_TIMEOUT = "3s"
#: How long to try for the locks, in seconds.
LOCK_SECONDS = 60.0
BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def in_locks(session: Connection, tables: Collection[str], seconds: float, act: Callable[[], _Done]) -> _Done:
    """Run one transaction; what cannot be locked soon is given up and tried again, so nobody queues behind it.

    Nobody else writes the tables meanwhile, readers go on, and the transaction sees one instant from after the locks.
    Whoever has read one table and waits to write another holds up this transaction, and not it him.

    Args:
        session: a connection in autocommit.
        tables: qualified names, quoted where they have to be.
        seconds: how long to try.
        act: may run several times; only the last one is committed.

    Raises:
        Refused: the locks were not to be had; it names who holds them, since when, and how that is ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with session.transaction():
                _lock(session, tables)
                return act()
        except BUSY as error:
            if time.monotonic() > deadline:
                found = holders.of_tables(session, tables)
                raise Refused(
                    f"The tables could not be locked within {seconds:g} s: {_line(error)}. {holders.told(found)}",
                    holders.way_out(found),
                ) from error
            # spread out, so that two who wait for each other do not meet again
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 -- not a secret


def alone(session: Connection, key: int) -> None:
    """Nobody else migrates meanwhile; the lock ends with the session.

    A session whose operator was killed needs a moment to notice: so long it is waited for.

    Args:
        session: a connection in autocommit.
        key: of the advisory lock.

    Raises:
        Refused: somebody does; it says who.
    """
    session.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(ALONE_TIMEOUT)))
    try:
        session.execute(sql.SQL("SELECT pg_advisory_lock({})").format(sql.Literal(key)))
    except psycopg.errors.LockNotAvailable as error:
        found = holders.told(holders.migrating(session, key))
        told = f"Somebody else migrates this database right now: {found}"
        raise Refused(told, "wait for them, then repeat the command") from error
    session.execute("RESET lock_timeout")


def _lock(session: Connection, tables: Collection[str]) -> None:
    """No snapshot is taken before the locks are there."""
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    session.execute(sql.SQL("SET LOCAL deadlock_timeout = {}").format(sql.Literal(DEADLOCK_TIMEOUT)))
    for table in tables:
        session.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(relation(table)))


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
