"""One migration taken back with proof, in one transaction (RUNBOOK, Rollback Individual Migration).

The script runs, and before anything is committed the transaction itself is asked: is exactly what the migration made
gone, is every other object as it was, does every table that was touched hold the same values in the columns of both
sides, was no row of any other table written, and does every other sequence stand where it stood? Only then it commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import sql

from rollback.database import attic
from rollback.database.contents import columns, contents, moved, sequences, unlike, written
from rollback.database.fingerprint import Difference, difference, logical
from rollback.database.locks import BUSY, LOCK_SECONDS, in_locks
from rollback.database.schema.dump import ours
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rollback.database.contents import Table
    from rollback.database.expectation import Made, Migration
    from rollback.database.fingerprint import Schema
    from rollback.database.server import Connection

__all__ = ["TakeBack"]

_Done = TypeVar("_Done")

_SHOWN = 12
_LOCKABLE = "SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'p')"


@dataclass(frozen=True)
class TakeBack:
    """Taking migrations of one database back, and forward again.

    Attributes:
        session: a connection of its own, in autocommit.
        history: the qualified table in which migrations are recorded.
        run: id of the run; attics are named after it.
        lock_key: the advisory lock under which the application itself migrates; None where it takes none.
        lock_seconds: how long to try for the locks.
        returned: what is done, before the commit, where an attic has given its rows back.
    """

    session: Connection
    history: str
    run: str
    lock_key: int | None = None
    lock_seconds: float = LOCK_SECONDS
    returned: Callable[[Connection], object] = lambda _session: None

    def back(self, migration: Migration, made: Made) -> dict[str, int]:
        """Take one migration back; returns the rows kept in the attic, by table.

        Raises:
            Refused: the script leaves something behind, takes too much, changes data, or fails; the database is
                as it was. Also when the locks are not to be had.
        """
        return self._in_locks(made, lambda: self._take_back(migration, made))

    def forward(self, migration: Migration, made: Made) -> None:
        """Apply a migration that was taken back again, with what was kept of it.

        Raises:
            Refused: nothing is kept of it, or the result is not what was taken back.
        """
        found = attic.kept(self.session, migration.version)
        if found is None:
            raise Refused(f"Nothing is kept of migration {migration.version}.", "apply it by deploying its release")
        self._in_locks(made, lambda: self._bring_forward(migration, made, *found))

    def has_taken_back(self, migration: Migration) -> bool:
        """Whether this run has: what it kept is there. What another run took back is not this one's to bring back."""
        return self._attic(migration) in attic.schemas(self.session)

    def kept(self) -> dict[str, int]:
        """The rows, or values of rows, that this run has put into attics and that are there still, by table."""
        found: dict[str, int] = {}
        for name in attic.schemas(self.session):
            if name.endswith(f"_{self.run}"):
                rows: dict[str, int] = attic.noted(self.session, name).get("rows", {})
                found |= {table: found.get(table, 0) + number for table, number in rows.items()}
        return found

    def _attic(self, migration: Migration) -> str:
        return f"{attic.PREFIX}{migration.version}_{self.run}"

    def _take_back(self, migration: Migration, made: Made) -> dict[str, int]:
        before, rows, recorded = self._schema(), self._rows(made), self._versions()
        name = self._attic(migration)
        own = attic.own_sequences(self.session, made)
        others = self._sequences(own)
        saved = attic.keep(self.session, name, made.tables(), made.columns())
        facts = {"schema": before.digest, "sequences": own, "rows": saved}
        attic.shelve_history(self.session, name, self.history, migration.version, facts)
        before_writes = written(self.session)
        self._run(migration.down, f"the script that takes {migration.name} back")
        wrong = [*_undone(before, self._schema(), made), *unlike(rows, self._rows_of(rows))]
        wrong += self._stray_writes(before_writes, made)
        wrong += moved(others, self._sequences(own))
        wrong += self._struck_off(migration.version, recorded)
        if wrong:
            raise Refused(
                f"Taking {migration.name} back would not put back what was before it: {_listed(wrong)}",
                "mend the script; schema and rows are as they were",
            )
        return saved

    def _bring_forward(self, migration: Migration, made: Made, name: str, facts: dict[str, Any]) -> None:
        rows = self._rows(made)
        self._run(migration.up, migration.name)
        attic.bring_back(self.session, name, made, self.history, facts["sequences"])
        wrong = unlike(rows, self._rows(made))
        if self._schema().digest != facts["schema"]:
            wrong.append("the schema is not what it was when the migration was taken back")
        if wrong:
            raise Refused(f"{migration.name} cannot be brought forward: {_listed(wrong)}", "all is as it was")
        attic.drop(self.session, name)
        self.returned(self.session)

    def _in_locks(self, made: Made, act: Callable[[], _Done]) -> _Done:
        """One transaction behind locks on what the migration touched.

        Readers go on until the script needs them away; from then to the commit they wait as well.
        """
        named = [*dict.fromkeys((*made.touched(), *made.parents(), *made.tables(), self.history))]
        # asked before: within the transaction the question would take the snapshot before the locks
        tables = [name for name in named if self.session.execute(_LOCKABLE, (name,)).fetchone() is not None]
        return in_locks(self.session, tables, self.lock_seconds, act)

    def _schema(self) -> Schema:
        return logical(self.session, schemas=ours(self.session))

    def _rows(self, made: Made) -> dict[str, Table]:
        """Of every table that the migration touched, and of those that refer to it, the columns that stay.

        Only these are hashed: the locks are held meanwhile. For all others `_stray_writes` answers.
        """
        lost, there = made.columns(), columns(self.session)
        kept = {name: set(there[name]) - set(lost.get(name, ())) for name in made.touched() if name in there}
        return contents(self.session, kept)

    def _rows_of(self, before: dict[str, Table]) -> dict[str, Table]:
        """The same tables and columns again, as far as they are still there."""
        return contents(self.session, {name: one.columns for name, one in before.items()})

    def _stray_writes(self, before: dict[str, int], made: Made) -> list[str]:
        own = {*made.touched(), *made.tables(), self.history}
        now = written(self.session)
        return [
            f"{now[name] - before.get(name, 0)} rows of {name} were written, which the migration never touched"
            for name in sorted(now)
            if now[name] != before.get(name, 0) and name not in own and not name.startswith(attic.PREFIX)
        ]

    def _sequences(self, own: dict[str, int | None]) -> dict[str, int | None]:
        return {name: value for name, value in sequences(self.session).items() if name not in own}

    def _versions(self) -> list[str]:
        question = sql.SQL("SELECT version FROM {} ORDER BY version").format(self._history())
        return [str(row[0]) for row in self.session.execute(question).fetchall()]

    def _history(self) -> sql.Identifier:
        return sql.Identifier(*self.history.split("."))

    def _struck_off(self, version: str, before: list[str]) -> list[str]:
        """The script, or else we, take this one version out of the history; its row is kept in the attic."""
        command = sql.SQL("DELETE FROM {} WHERE version = {}").format(self._history(), sql.Literal(version))
        self.session.execute(command)
        strange = set(before) - set(self._versions()) - {version}
        return [f"the script takes {', '.join(sorted(strange))} out of {self.history} too"] if strange else []

    def _run(self, script: str, what: str) -> None:
        try:
            self.session.execute(script.encode())
        except BUSY:
            raise
        except psycopg.Error as error:
            if self.session.broken or self.session.closed:
                raise Failed(f"The connection was lost in {what}: {_line(error)}.", "look at the database") from error
            raise Refused(f"{what} fails: {_line(error)}.", "mend it; schema and rows are as they were") from error
        if self.session.info.transaction_status is not psycopg.pq.TransactionStatus.INTRANS:
            raise Failed(
                f"{what} ended the transaction of the proof.", "look at the database: what it did is committed"
            )


def _undone(before: Schema, after: Schema, made: Made) -> Iterator[str]:
    """Everything that is not exactly the reverse of what the migration made."""
    now = {one.name: one for one in difference(after, before)}
    wanted = {one.name: one for one in made.differences}
    for name in sorted(now.keys() | wanted.keys()):
        is_back = name in now and name in wanted and now[name].before == wanted[name].before
        if not is_back:
            yield _told(name, now.get(name), wanted.get(name))


def _told(name: str, now: Difference | None, wanted: Difference | None) -> str:
    if now is None:
        return f"left behind: {name}" if wanted and wanted.before is None else f"not put back: {wanted or name}"
    reverse = Difference(name, now.after, now.before)
    return f"taken too much: {reverse}" if wanted is None else f"put back otherwise: {reverse}"


def _listed(wrong: Sequence[str]) -> str:
    more = f" ... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + more + "."


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
