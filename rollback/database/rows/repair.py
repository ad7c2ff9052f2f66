"""Rows repaired in place from a backup, with proof before the commit (RUNBOOK, Data Corruption Recovery).

One transaction, behind locks that let readers go on. It commits only if every row of the repair is what it is in the
backup, all other rows of these tables are what they were by number and hash, and no row of any other table was written.

Triggers that users have made rest meanwhile: nothing of this is a user's doing. They are disabled table by table and
not by session_replication_role, which would silence the foreign keys as well; ALTER TABLE needs no other lock than the
one that is held, and PostgreSQL itself checks every reference.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.contents import written
from rollback.database.locks import LOCK_SECONDS, in_locks
from rollback.database.refusals import refusals
from rollback.database.rows.shape import relation, shape
from rollback.database.rows.staged import Staged
from rollback.database.session import pinned
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.database.rows.comparison import Found
    from rollback.database.server import Connection

__all__ = ["PREFIX", "REPAIRED", "STAGED", "Repair", "kept"]

PREFIX = "rollback_repair_"
STAGED, REPAIRED = "staged", "repaired"
_TRIGGERS = """
    SELECT tgname::text, tgenabled::text FROM pg_trigger
    WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname"""
_KEPT = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY oid"
_PERHAPS = "a row that it refers to may be missing (repair that table first), or a new row has its place"
#: How PostgreSQL's letters for a trigger are given back.
_ENABLED = {
    "O": sql.SQL("ENABLE TRIGGER"),
    "R": sql.SQL("ENABLE REPLICA TRIGGER"),
    "A": sql.SQL("ENABLE ALWAYS TRIGGER"),
    "D": sql.SQL("DISABLE TRIGGER"),
}


def kept(session: Connection) -> list[str]:
    """The runs of all repairs of which rows are kept, oldest first."""
    rows: list[Any] = session.execute(_KEPT, (PREFIX,)).fetchall()
    return [str(name).removeprefix(PREFIX) for (name,) in rows]


@dataclass(frozen=True)
class Repair:
    """One repair of one database. Its rows, and the rows as they were, stay in a schema of its own.

    Attributes:
        session: a connection of its own to the live database, in autocommit.
        run: id of the run; the schema is named after it.
        lock_seconds: how long to try for the locks.
    """

    session: Connection
    run: str
    lock_seconds: float = LOCK_SECONDS

    @staticmethod
    def named(run: str) -> str:
        """The schema of a run."""
        return f"{PREFIX}{run}"

    @property
    def schema(self) -> str:
        """Where the rows of the backup and the rows as they were are kept."""
        return self.named(self.run)

    def state(self) -> str:
        """STAGED, REPAIRED, or empty where there is nothing."""
        return str(self._facts().get("state", ""))

    def counts(self) -> dict[str, tuple[int, int]]:
        """Rows repaired and rows brought back, by table."""
        return {one.shape.table: one.rows() for one in self._tables()}

    def stage(self, then: Connection, found: Found) -> None:
        """Lay the rows beside, within the transaction in which they were compared; the live table is only read."""
        self.session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        tables = [Staged(self.session, self.schema, n, one) for n, one in enumerate(found.tables, 1)]
        with pinned(self.session), pinned(then):
            for one in tables:
                one.lay(then, found.keys(one.shape.table))
        self._mark(STAGED, [one.shape.table for one in tables])

    def act(self) -> None:
        """Repair what was laid beside; nothing is done a second time.

        Raises:
            Refused: a row is not what it was when it was compared, a proof does not hold, PostgreSQL refuses a value,
                or the locks are not to be had. The database is as it was.
        """
        if self.state() == STAGED:
            self._proven(self._forward)

    def undo(self) -> None:
        """Put back the rows as they were, from the undo table; nothing is done where nothing was repaired.

        Raises:
            Refused: somebody has changed a repaired row since, or what depends on it. The database is as it is.
        """
        if self.state() == REPAIRED:
            self._proven(self._back)

    def drop(self) -> None:
        """Drop what was laid beside, if nothing was repaired with it."""
        if self.state() != REPAIRED:
            self.session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))

    def forget(self) -> None:
        """Drop what is kept, whether the repair stands or not."""
        self.session.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(self.schema)))

    # the two ways

    def _forward(self, tables: list[Staged]) -> None:
        self._none("changed after they were compared", tables, lambda one: one.unlike(one.before) + one.come())
        with self._nothing_else(tables) as count:
            for one in tables:
                count[one.shape.table] = one.insert()
            for one in tables:
                count[one.shape.table] += one.update(one.backup)
        self._none("not what they are in the backup", tables, lambda one: one.unlike(one.backup))
        self._mark(REPAIRED)

    def _back(self, tables: list[Staged]) -> None:
        self._none("changed after they were repaired", tables, lambda one: one.unlike(one.backup))
        with self._nothing_else(tables) as count:
            for one in reversed(tables):
                count[one.shape.table] = one.update(one.before)
            for one in reversed(tables):
                count[one.shape.table] += one.delete()
        self._none("not what they were", tables, lambda one: one.unlike(one.before) + one.come())
        self._mark(STAGED)

    def _proven(self, act: Callable[[list[Staged]], None]) -> None:
        tables = self._tables()
        names = [one.shape.table for one in tables]
        with refusals(self.session, "a row of the backup", _PERHAPS):
            in_locks(self.session, names, self.lock_seconds, lambda: act(tables))

    @contextmanager
    def _nothing_else(self, tables: list[Staged]) -> Iterator[dict[str, int]]:
        """The block may write the rows of the repair, as many as it says, and nothing besides.

        Raises:
            Refused: it has.
        """
        own: dict[str, int] = {}
        others, before, triggers = self._others(tables), written(self.session), self._triggers(tables)
        with self._triggers_at_rest(triggers):
            yield own
        wrong = [
            f"other rows of {table} are not what they were ({old[0]} before, {new[0]} now)"
            for (table, old), new in zip(others.items(), self._others(tables).values(), strict=True)
            if old != new
        ]
        wrong += _strays(before, written(self.session), own)
        wrong += ["triggers are not as they were"] if self._triggers(tables) != triggers else []
        if wrong:
            raise Refused(f"More would change than these rows: {'; '.join(wrong)}.", "all is as it was")

    # words

    def _none(self, what: str, tables: list[Staged], count: Callable[[Staged], int]) -> None:
        """Say that there is no such row.

        Raises:
            Refused: there is.
        """
        with pinned(self.session):
            found = {one.shape.table: count(one) for one in tables}
        wrong = [f"{number} rows of {table} are {what}" for table, number in found.items() if number]
        if wrong:
            raise Refused(f"{'; '.join(wrong)}.", "all is as it was; repeat the command to see what differs now")

    def _others(self, tables: list[Staged]) -> dict[str, tuple[int, str]]:
        with pinned(self.session):
            return {one.shape.table: one.others() for one in tables}

    def _triggers(self, tables: list[Staged]) -> dict[str, list[tuple[str, str]]]:
        found = {}
        for one in tables:
            rows: list[Any] = self.session.execute(_TRIGGERS, (one.shape.relation.as_string(self.session),)).fetchall()
            found[one.shape.table] = [(str(name), str(enabled)) for name, enabled in rows]
        return found

    @contextmanager
    def _triggers_at_rest(self, triggers: dict[str, list[tuple[str, str]]]) -> Iterator[None]:
        """Triggers of users do not fire; references that may be checked late are checked before they fire again."""
        self.session.execute("SET CONSTRAINTS ALL DEFERRED")
        for table in (one for one, there in triggers.items() if there):
            self.session.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(relation(table)))
        yield
        self.session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, there in triggers.items():
            for name, enabled in there:
                command = sql.SQL("ALTER TABLE {} {} {}")
                self.session.execute(command.format(relation(table), _ENABLED[enabled], sql.Identifier(name)))

    def _tables(self) -> list[Staged]:
        return [
            Staged(self.session, self.schema, n, shape(self.session, one))
            for n, one in enumerate(self._facts().get("tables", []), 1)
        ]

    def _facts(self) -> dict[str, Any]:
        question = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
        row: Any = self.session.execute(question, (self.schema,)).fetchone()
        facts: dict[str, Any] = json.loads(row[0]) if row and row[0] else {}
        return facts

    def _mark(self, state: str, tables: list[str] | None = None) -> None:
        facts = {"state": state, "tables": self._facts().get("tables") if tables is None else tables}
        command = sql.SQL("COMMENT ON SCHEMA {} IS {}")
        self.session.execute(command.format(sql.Identifier(self.schema), sql.Literal(json.dumps(facts))))


def _strays(before: dict[str, int], after: dict[str, int], own: dict[str, int]) -> Iterator[str]:
    """Tables in which more or less was written than the repair says."""
    for table in sorted(after):
        count = after[table] - before.get(table, 0)
        if count != own.get(table, 0) and not table.startswith(PREFIX):
            yield f"{count} rows of {table} were written, {own.get(table, 0)} by the repair"
