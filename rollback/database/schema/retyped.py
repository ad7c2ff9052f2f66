"""Columns that get another type: which values would not be the same in it, kept before and put back if asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.names import parts
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rollback.database.server import Connection

__all__ = ["Retyped"]

_KNOWN = "SELECT to_regtype(%s) IS NOT NULL"


@dataclass(frozen=True)
class Retyped:
    """Columns of the live database.

    Attributes:
        session: on it.
        schema: the attic.
        columns: (table, column, type now, type then).
    """

    session: Connection
    schema: str
    columns: Iterable[tuple[str, ...]]
    _lossy: dict[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def losses(self) -> list[list[str]]:
        """The columns of which values were kept."""
        return [[*one] for one in self._lossy]

    def counted(self) -> dict[tuple[str, ...], int]:
        """How many values are not the same when they have been in the other type; types that are yet to be made apart.

        Raises:
            psycopg.DataError: a value does not fit at all.
        """
        found = {}
        for one in self.columns:
            table, column, now, then = one
            there = self.session.execute(_KNOWN, (then,)).fetchone()
            if now != then and there and there[0]:
                name = sql.Identifier(column)
                question = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(_table(table), _differs(name, then, now))
                row: Any = self.session.execute(question).fetchone()
                found[one] = int(row[0])
        return found

    def with_losses(self, lost: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
        """The columns to be kept: those that go, and those with values that would not be the same."""
        self._lossy.update({one: number for one, number in self.counted().items() if number})
        kept = {table: [*names] for table, names in lost.items()}
        for table, column, *_ in self._lossy:
            kept.setdefault(table, []).append(column)
        return kept

    def proven(self, keys: Mapping[str, Collection[str]]) -> None:
        """Say that exactly the values that were counted are not what they were.

        Raises:
            Refused: others are.
        """
        for (table, column, now, _then), number in self._lossy.items():
            name = sql.Identifier(column)
            question = sql.SQL(
                "SELECT count(*) FROM {} now JOIN {} kept ON {} WHERE now.{}::{}::text IS DISTINCT FROM kept.{}::text"
            ).format(_table(table), self._kept(table), self._same(table, keys), name, sql.SQL(now), name)
            row: Any = self.session.execute(question).fetchone()
            if int(row[0]) != number:
                raise Refused(f"{row[0]} values of {column} of {table} would change, not {number}.", "all is as it was")

    def put_back(self, keys: Mapping[str, Collection[str]]) -> None:
        """Give values that did not fit back to the rows that nobody has written since."""
        for table, column, then, now in self.columns:
            name = sql.Identifier(column)
            back, narrowed = (sql.SQL(one) for one in (then, now))
            command = sql.SQL(
                "UPDATE {table} now SET {c} = kept.{c}::{back} FROM {kept} kept"
                " WHERE {same} AND now.{c}::text IS NOT DISTINCT FROM kept.{c}::{back}::{narrowed}::{back}::text"
            )
            self.session.execute(
                command.format(
                    table=_table(table),
                    c=name,
                    back=back,
                    kept=self._kept(table),
                    same=self._same(table, keys),
                    narrowed=narrowed,
                )
            )

    def _kept(self, table: str) -> sql.Identifier:
        return sql.Identifier(self.schema, table)

    def _same(self, table: str, keys: Mapping[str, Collection[str]]) -> sql.Composed:
        same = sql.SQL("now.{0}::text = kept.{0}::text")
        return sql.SQL(" AND ").join(same.format(sql.Identifier(one)) for one in keys[table])


def _differs(name: sql.Identifier, then: str, now: str) -> sql.Composed:
    return sql.SQL("{0}::{1}::{2}::text IS DISTINCT FROM {0}::text").format(name, sql.SQL(then), sql.SQL(now))


def _table(name: str) -> sql.Identifier:
    return sql.Identifier(*parts(name))
