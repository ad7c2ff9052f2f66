"""Which rows of a table differ between the live database and a backup that was restored, and what becomes of each.

Both databases are only read, each as of one instant. A condition counts where it holds for the live row or for the
backup's: a corrupt value must not hide its row.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback.database.late import differing
from rollback.database.rows.decision import Decided, Rules, Verdict, decide, decide_child
from rollback.database.rows.shape import CASCADE, SET_NULL, Reference, Shape, named, parents_first, references, shape
from rollback.database.session import pinned
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from rollback.database.rows.condition import Condition
    from rollback.database.server import Connection

__all__ = ["LARGEST", "Comparison", "Found", "Wanted"]

#: More rows than that are no repair any more; they are held in memory and locked while they are compared.
LARGEST = 500_000
_BATCH = 5000
_SINCE = "came to differ after the plan"


@dataclass(frozen=True)
class Wanted:
    """What the operator asks for.

    Attributes:
        table: named with or without its schema.
        where: which rows.
        since: when the backup was taken.
        overwrite: also rows that were changed since.
    """

    table: str
    where: Condition
    since: datetime
    overwrite: bool = False


@dataclass(frozen=True)
class Found:
    """Every row that was chosen and differs, with its decision.

    Attributes:
        tables: those with rows to write, parents first.
        rows: all of them.
    """

    tables: tuple[Shape, ...] = ()
    rows: tuple[Decided, ...] = ()

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by table and decision."""
        counted = Counter((one.table, one.verdict.value) for one in self.rows)
        tables = sorted({table for table, _ in counted})
        return {table: {kind: n for (of, kind), n in sorted(counted.items()) if of == table} for table in tables}

    def marks(self) -> list[str]:
        """A mark of each row that will be written: the same only if it becomes the same values from the same values."""
        return sorted(one.mark() for one in self.rows if one.writes)

    def within(self, marks: Collection[str]) -> Found:
        """Of this only what is marked so; what has come to differ since, or differs otherwise by now, is left."""
        allowed = {*marks}
        rows = tuple(
            one if not one.writes or one.mark() in allowed else replace(one, verdict=Verdict.LEAVE, reason=_SINCE)
            for one in self.rows
        )
        written = {one.table for one in rows if one.writes}
        return Found(tuple(one for one in self.tables if one.table in written), rows)

    def keys(self, table: str) -> list[str]:
        """The rows of a table that will be written."""
        return [one.key for one in self.rows if one.table == table and one.writes]

    def listed(self, path: Path) -> None:
        """Write every row with old, new and decision to a file of the operator's alone, one JSON object a line."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as file:
            for one in self.rows:
                said = {"table": one.table, "key": json.loads(one.key), "decision": one.verdict.value}
                told = {**said, "reason": one.reason, "old": one.old, "new": one.new}
                file.write(json.dumps(told, ensure_ascii=False) + "\n")


@dataclass
class Comparison:
    """One comparison.

    Attributes:
        live: a session in a transaction that sees one instant (REPEATABLE READ).
        then: a session on the restored backup.
    """

    live: Connection
    then: Connection
    wanted: Wanted
    _decided: dict[tuple[str, str], Decided] = field(default_factory=dict, init=False)
    _shapes: dict[str, Shape] = field(default_factory=dict, init=False)

    def found(self) -> Found:
        """Compare; nothing is written.

        Raises:
            Refused: the table is not there or not as it was, its rows cannot be told apart, or too many differ.
            UsageError: the condition cannot be asked of this table.
        """
        self.wanted.where.steady(self.live)
        # read only until the end of the block, whatever the condition holds
        with self.live.transaction(), self.then.transaction():
            self.live.execute("SET TRANSACTION READ ONLY")
            self.then.execute("SET TRANSACTION READ ONLY")
            table = self._shape(named(self.live, self.wanted.table))
            between = references(self.live)
            self._compare(table)
            self._descend(between)
        rows = tuple(self._decided.values())
        written = {one.table for one in rows if one.writes}
        return Found(tuple(self._shapes[one] for one in parents_first(written, between)), rows)

    def _shape(self, table: str) -> Shape:
        """The table, if it is on both sides what it was.

        Raises:
            Refused: it is not.
        """
        if table not in self._shapes:
            named(self.then, table)
            now, before = shape(self.live, table), shape(self.then, table)
            if now != before:
                differing = sorted({one.name for one in set(now.columns) ^ set(before.columns)}) or ["the primary key"]
                raise Refused(
                    f"{table} is not what it was when the backup was taken: {', '.join(differing)}.",
                    "use a backup from after that migration, or take the migration back first",
                )
            self._shapes[table] = now
        return self._shapes[table]

    # the rows of the table itself

    def _compare(self, table: Shape) -> None:
        rules = self._rules()
        with pinned(self.live), pinned(self.then):
            keys_of_all = [key for _, key in differing(self.live, self.then, table.table, list(table.key))]
        for keys in _batches(keys_of_all):
            old, new = _rows(self.live, table, keys), _rows(self.then, table, keys)
            chosen = self._chosen(self.live, table, keys) | self._chosen(self.then, table, keys)
            for one in keys:
                if one in chosen:
                    now, before = old.get(one), new.get(one)
                    self._note(Decided(table.table, one, *decide(now, before, rules), now, before))

    def _rules(self) -> Rules:
        row: Any = self.live.execute("SELECT now()").fetchone()
        return Rules(self.wanted.since, row[0], self.wanted.overwrite)

    def _chosen(self, session: Connection, table: Shape, keys: list[str]) -> set[str]:
        question = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s) AND {2}")
        try:
            asked = question.format(table.identity, table.relation, self.wanted.where.holds())
            return {str(row[0]) for row in session.execute(asked, (keys,)).fetchall()}
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            said = error.diag.message_primary or type(error).__name__
            raise UsageError(f"--where cannot be asked of {table.table}: {said}.", "mend it") from error

    def _note(self, one: Decided) -> bool:
        """Keep a decision; the first one of a row stands. Whether the row comes back by this one."""
        if (one.table, one.key) in self._decided:
            return False
        self._decided[one.table, one.key] = one
        if len(self._decided) > LARGEST:
            raise Refused(
                f"More than {LARGEST} rows differ from the backup.",
                "narrow them with --where, or go back to the whole backup",
            )
        return one.verdict is Verdict.BRING_BACK

    # what went with rows that are brought back

    def _descend(self, between: list[Reference]) -> None:
        """Children of what comes back, and their children, until nothing more comes back."""
        gone: dict[str, list[str]] = {}
        for one in self._decided.values():
            if one.verdict is Verdict.BRING_BACK:
                gone.setdefault(one.table, []).append(one.key)
        while gone:
            parent, keys = gone.popitem()
            for reference in between:
                if reference.parent == parent and reference.on_delete in (CASCADE, SET_NULL):
                    more = self._children(reference, keys, between)
                    gone.setdefault(reference.child, []).extend(more)
            gone = {table: keys for table, keys in gone.items() if keys}

    def _children(self, by: Reference, parents: list[str], between: list[Reference]) -> list[str]:
        """Rows that referred to these in the backup; the keys of those that come back."""
        found = [row for some in _batches(parents) for row in self._referring(by, self._shapes[by.parent], some)]
        if not found:
            return []
        child, more = self._shape(by.child), list[str]()
        emptied = {
            name for one in between if (one.child, one.on_delete) == (by.child, SET_NULL) for name in one.columns
        }
        for keys in _batches(found):
            old, new = _rows(self.live, child, keys), _rows(self.then, child, keys)
            for key in keys:
                decided = decide_child(old.get(key), new[key], emptied)
                if decided and self._note(Decided(child.table, key, *decided, old.get(key), new[key])):
                    more.append(key)
        return more

    def _referring(self, by: Reference, parent: Shape, keys: list[str]) -> list[str]:
        names, to = (sql.SQL(", ").join(map(sql.Identifier, some)) for some in (by.columns, by.to))
        asked = sql.SQL("SELECT {} FROM {} WHERE ({}) IN (SELECT {} FROM {} WHERE {} = ANY(%s))")
        child = shape(self.then, by.child) if by.child not in self._shapes else self._shapes[by.child]
        question = asked.format(child.identity, child.relation, names, to, parent.relation, parent.identity)
        return [str(row[0]) for row in self.then.execute(question, (keys,)).fetchall()]


def _rows(session: Connection, table: Shape, keys: list[str]) -> dict[str, Any]:
    question = sql.SQL("SELECT {0}, to_jsonb(one) FROM {1} one WHERE {0} = ANY(%s)")
    found = session.execute(question.format(table.identity, table.relation), (keys,)).fetchall()
    return {str(key): row for key, row in found}


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]
