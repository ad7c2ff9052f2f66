"""A schema brought back on the live database, rows and all, in one transaction with its proof (RUNBOOK, Schema Only).

What the statements would lose is copied to an attic first. The transaction commits only if the schema's fingerprint is
the recorded one, every value of every column of both sides is what it was, no row of any other table was written, what
came back is what was kept, and the history of migrations says what the schema is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database import attic
from rollback.database.contents import contents, moved, sequences, unlike, written
from rollback.database.locks import LOCK_SECONDS, in_locks
from rollback.database.names import parts
from rollback.database.parents import Key, without_parents
from rollback.database.refusals import refusals
from rollback.database.schema import dump
from rollback.database.schema.rehearsal import cleared, schema_of, walk
from rollback.database.schema.retyped import Retyped
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.database.contents import Table
    from rollback.database.schema.change import Change
    from rollback.database.server import Connection

__all__ = ["ATTIC", "Live", "Order"]

ATTIC = f"{attic.PREFIX}schema_"
_SHOWN = 12
#: Bytes of a name in PostgreSQL.
_LONGEST = 63
_LOCKABLE = "SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'p')"
#: Nobody's rows: they are computed anew.
_DERIVED = "SELECT schemaname || '.' || matviewname FROM pg_matviews"
_KEPT_HISTORY = "migration_history"
_IN_ATTIC = """
    SELECT c.relname::text, array_agg(a.attname::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = %s AND c.relkind = 'r' GROUP BY 1"""


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        change: the statements and what they do to rows.
        before: digest of the schema for which they were found.
        after: digest of the schema that must be there.
        history: rows that the history of migrations must have, as JSON, by version.
        source: the schema with what comes back; empty: nothing does.
    """

    change: Change
    before: str
    after: str
    history: dict[str, str]
    source: str = ""


@dataclass(frozen=True)
class Live:
    """The live database of one run.

    Attributes:
        session: a connection of its own, in autocommit.
        history: the qualified table in which migrations are recorded.
        run: id of the run; the attic is named after it.
        lock_seconds: how long to try for the locks.
    """

    session: Connection
    history: str
    run: str
    lock_seconds: float = LOCK_SECONDS

    @property
    def attic(self) -> str:
        """Where what was lost is kept."""
        return f"{ATTIC}{self.run}"

    def kept(self) -> dict[str, Any] | None:
        """What was noted with the attic; None where there is none: then nothing was committed."""
        question = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
        row: Any = self.session.execute(question, (self.attic,)).fetchone()
        return json.loads(str(row[0])) if row and row[0] else None

    def act(self, order: Order) -> None:
        """Bring the schema back.

        Raises:
            Refused: the schema is not the one of the plan, a statement fails, a proof does not hold, or the locks are
                not to be had; the database is as it was.
        """
        self._in_locks(order, lambda: self._there(order))

    def undo(self, order: Order) -> None:
        """Bring the schema of before back with what the attic has kept, and drop the attic.

        Raises:
            Refused: as `act`.
        """
        self._in_locks(order, lambda: self._back(order))

    def _in_locks(self, order: Order, act: Callable[[], None]) -> None:
        named = [*order.change.touched, self.history]
        there = [one for one in named if self.session.execute(_LOCKABLE, (one,)).fetchone() is not None]
        with refusals(self.session, "it", "all is as it was"):
            try:
                in_locks(self.session, there, self.lock_seconds, act)
            finally:
                if not self.session.broken:
                    self.session.execute("RESET search_path")

    def _there(self, order: Order) -> None:
        dump.silent(self.session)
        change = order.change
        retyped = Retyped(self.session, self.attic, change.retyped)
        columns = retyped.with_losses(change.lost_columns)
        rows = attic.keep(self.session, self.attic, change.lost_tables, columns)
        facts = {"lossy": retyped.losses, "sequences": sequences(self.session), "rows": rows}
        self._proven(order)
        retyped.proven(change.keys)
        if order.source:
            attic.drop(self.session, order.source)
        said = sql.SQL("COMMENT ON SCHEMA {} IS {}")
        self.session.execute(said.format(sql.Identifier(self.attic), sql.Literal(json.dumps(facts))))

    def _back(self, order: Order) -> None:
        dump.silent(self.session)
        facts, change = self.kept() or {}, order.change
        self._all_has_its_place(change, facts.get("lossy", []))
        # users may have written into what came back
        undone = f"{self.attic}_undone"
        retyped = Retyped(self.session, undone, change.retyped)
        attic.keep(self.session, undone, change.lost_tables, retyped.with_losses(change.lost_columns))
        self._proven(order, facts.get("lossy", []))
        retyped.proven(change.keys)
        for name, value in facts.get("sequences", {}).items():
            self._no_number_twice(name, value)
        attic.drop(self.session, self.attic)

    def _all_has_its_place(self, change: Change, lossy: list[list[str]]) -> None:
        """Say that everything in the attic goes back to where it was: then the attic is not needed any more.

        Raises:
            Refused: what it was taken from was made again since, by somebody else.
        """
        rows: list[Any] = self.session.execute(_IN_ATTIC, (self.attic,)).fetchall()
        kept = {str(table): list(names) for table, names in rows}
        for table in (one for one in kept if one not in {*map(_cut, change.new_tables), _KEPT_HISTORY}):
            back = {
                name
                for of, names in (*change.keys.items(), *change.new_columns.items())
                for name in names
                if _cut(of) == table
            }
            back |= {column for of, column, *_ in lossy if _cut(of) == table}
            if set(kept[table]) - back:
                raise Refused(
                    f"{table} was made again since, and the attic {self.attic} keeps what it held before.",
                    "take it away again and repeat the abort, or `rollback resume` and copy the rows by hand",
                )

    def _no_number_twice(self, name: str, value: int | None) -> None:
        """A sequence that was made anew goes on from where the old one stood."""
        now = sequences(self.session)
        if value is not None and name in now and (now[name] or 0) < value:
            self.session.execute("SELECT setval(%s::regclass, %s)", (name, value))

    def _proven(self, order: Order, lossy: list[list[str]] | None = None) -> None:
        """Carry the statements out, and ask the transaction itself what has become of everything."""
        change = order.change
        self._still(order.before)
        rows, stand, writes = self._rows(change), sequences(self.session), written(self.session)
        walk(self.session, change.first)
        self._values(order, lossy or [])
        walk(self.session, change.last)
        self._history_of(order)
        self.session.execute("SET LOCAL session_replication_role = origin")
        wrong = [*self._unlike(order.after), *unlike(rows, self._again(rows))]
        wrong += self._strays(writes, change)
        wrong += moved(stand, {name: one for name, one in sequences(self.session).items() if name in stand})
        if wrong:
            more = f" ... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise Refused(
                f"The schema would not be the recorded one, or more would change: {'; '.join(wrong[:_SHOWN])}{more}.",
                "all is as it was",
            )

    def _still(self, digest: str) -> None:
        """Say that the schema is the one for which the statements were found.

        Raises:
            Refused: it is not.
        """
        if schema_of(self.session).digest != digest:
            raise Refused("The schema is not that of the plan any more.", "repeat the command and read the new plan")

    def _unlike(self, digest: str) -> list[str]:
        now = schema_of(self.session).digest
        left = [f"{one.rstrip(';')} was not done" for one in cleared(self.session)]
        return left if now == digest else [f"the fingerprint is {now[:12]}, {digest[:12]} was recorded"]

    def _rows(self, change: Change) -> dict[str, Table]:
        kept = {_plain(name): names for name, names in change.kept.items() if name != self.history}
        return contents(self.session, kept)

    def _again(self, before: dict[str, Table]) -> dict[str, Table]:
        return contents(self.session, {name: one.columns for name, one in before.items()})

    def _strays(self, before: dict[str, int], change: Change) -> list[str]:
        own = {_plain(one) for one in [*change.kept, *change.lost_tables, *change.new_tables, self.history]}
        own |= {str(row[0]) for row in self.session.execute(_DERIVED).fetchall()}
        now = written(self.session)
        return [
            f"{now[name] - before.get(name, 0)} rows of {name} were written, which the change does not touch"
            for name in sorted(now)
            if now[name] != before.get(name, 0) and name not in own and not name.startswith(attic.PREFIX)
        ]

    # what comes back

    def _values(self, order: Order, lossy: list[list[str]]) -> None:
        for table in order.change.new_tables:
            if self._has(order.source, table):
                attic.fill(self.session, order.source, table)
        for table, names in order.change.new_columns.items():
            if self._has(order.source, table) and order.change.keys[table]:
                attic.put(self.session, order.source, table, names, order.change.keys[table])
        without_parents(self.session, [Key(**one) for one in order.change.references])
        retyped = Retyped(self.session, order.source, [tuple(one) for one in lossy])
        retyped.put_back(order.change.keys)

    def _has(self, schema: str, table: str) -> bool:
        question = "SELECT to_regclass(format('%%I.%%I', %s::text, %s::text)) IS NOT NULL"
        row = self.session.execute(question, (schema, table)).fetchone()
        return bool(schema and row and row[0])

    def _history_of(self, order: Order) -> None:
        """The history says what the schema is: rows of others go to the attic, missing ones come.

        Raises:
            Refused: it would not.
        """
        if self.session.execute(_LOCKABLE, (self.history,)).fetchone() is None:
            return
        table, versions = sql.Identifier(*parts(self.history)), [*order.history]
        if order.source != self.attic:
            keep = sql.SQL("CREATE TABLE {} AS SELECT * FROM {} WHERE version::text <> ALL({})")
            kept = sql.Identifier(self.attic, _KEPT_HISTORY)
            self.session.execute(keep.format(kept, table, sql.Literal(versions)))
        delete = sql.SQL("DELETE FROM {} WHERE version::text <> ALL({})")
        self.session.execute(delete.format(table, sql.Literal(versions)))
        insert = sql.SQL(
            "INSERT INTO {0} SELECT (jsonb_populate_record(NULL::{0}, {1}::jsonb)).* ON CONFLICT DO NOTHING"
        )
        for row in order.history.values():
            self.session.execute(insert.format(table, sql.Literal(row)))


def _cut(name: str) -> str:
    """As PostgreSQL names a table after it, whose name it cuts."""
    return name.encode()[:_LONGEST].decode("utf-8", "ignore")


def _plain(name: str) -> str:
    """As `contents` names a table."""
    return ".".join(parts(name))
