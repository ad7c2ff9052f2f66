"""Who holds what a rollback waits for, said so that whoever is on call can decide and knows the one statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rollback.database.server import Connection

__all__ = ["WHOLE", "Holder", "migrating", "of_tables", "told", "way_out"]

#: The mode that nobody gets past, not even a reader or a dump.
WHOLE = "AccessExclusiveLock"
_SHOWN = 3
#: Users' own transactions come and go: one that is as old as this, in seconds, is in the way.
_OLD_SECONDS = 1.0

_ACTIVITY = """
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'without a name'), a.usename::text,
           coalesce(host(a.client_addr), 'the server itself'), a.state,
           extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::float"""
_TABLES = f"""{_ACTIVITY}, string_agg(DISTINCT l.relation::regclass::text || ' (' || l.mode || ')', ', ')
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - make_interval(secs => %(old)s)
    AND (l.relation = ANY (SELECT to_regclass(one) FROM unnest(%(tables)s::text[]) one) OR l.mode = %(whole)s)
    AND l.relation >= 16384 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 6 DESC"""  # noqa: S608 -- our own text
_ADVISORY = f"""{_ACTIVITY}, 'the right to migrate'
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s ORDER BY 6 DESC"""  # noqa: S608 -- our own text


@dataclass(frozen=True)
class Holder:
    """A session of the database that holds something.

    Attributes:
        pid: of its process on the server.
        name: what it calls itself.
        user: its role.
        address: where it comes from.
        state: what it does now, in PostgreSQL's words.
        seconds: how old its transaction is.
        what: the tables that it holds, with the modes.
    """

    pid: int
    name: str
    user: str
    address: str
    state: str
    seconds: float
    what: str

    def __str__(self) -> str:
        """What it was asked is not shown: there may be secrets in it."""
        return (
            f"pid {self.pid} ({self.name}, {self.user} from {self.address}, {self.state}) has held {self.what}"
            f" for {self.seconds:.0f} s"
        )


def of_tables(session: Connection, tables: Collection[str] = ()) -> list[Holder]:
    """Sessions whose transaction holds one of these tables in any mode, or any table whole; the oldest first.

    Args:
        session: asks; it holds nothing itself that is looked for.
        tables: qualified names.
    """
    words = {"tables": [*tables], "whole": WHOLE, "old": _OLD_SECONDS}
    return _found(session, _TABLES, words)


def migrating(session: Connection, key: int) -> list[Holder]:
    """Who holds the advisory lock under which this database is migrated."""
    return _found(session, _ADVISORY, {"key": key})


def _found(session: Connection, question: str, words: dict[str, Any]) -> list[Holder]:
    rows: list[Any] = session.execute(question.encode(), words).fetchall()
    return [Holder(*row) for row in rows]


def told(holders: Sequence[Holder]) -> str:
    """The first of them as a sentence."""
    if not holders:
        return "Whoever was in the way is gone by now."
    more = f"; and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else ""
    return "; ".join(map(str, holders[:_SHOWN])) + more + "."


def way_out(holders: Sequence[Holder]) -> str:
    """What to do: wait, or the statement that ends the oldest."""
    if not holders:
        return "repeat the command"
    return (
        f"wait for it, or end it (what it has not committed is lost): `SELECT pg_terminate_backend({holders[0].pid});`"
        " in psql; then repeat the command"
    )
