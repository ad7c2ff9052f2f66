"""One table of a repair: the rows of the backup and the rows as they were before, beside the live table.

Both are kept as text, which is exact while a session's settings are pinned: a copy that has the table's own types would
hold on to a type that some migration may have to drop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.database.rows.shape import Shape
    from rollback.database.server import Connection

__all__ = ["Staged"]

_LONGEST = 63
_CHOSEN = sql.SQL("pg_temp.rollback_chosen")
_NOW, _KEPT = "now", "kept"


@dataclass(frozen=True)
class Staged:
    """The SQL on one table; the caller has the transaction, and pins the session where it compares.

    Attributes:
        session: on the live database.
        schema: of the repair.
        number: of the table in it.
        shape: the live table.
    """

    session: Connection
    schema: str
    number: int
    shape: Shape

    @property
    def backup(self) -> sql.Identifier:
        """The rows of the backup."""
        return self._name("backup")

    @property
    def before(self) -> sql.Identifier:
        """The undo table: those of them that were there, as they were."""
        return self._name("before")

    def _name(self, what: str) -> sql.Identifier:
        return sql.Identifier(self.schema, f"{what}_{self.number}_{self.shape.table.partition('.')[2]}"[:_LONGEST])

    # laying the rows beside

    def lay(self, then: Connection, keys: list[str]) -> None:
        """Copy the chosen rows of the backup, and the same rows as they are now."""
        columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(one)) for one in self.shape.names)
        self.session.execute(sql.SQL("CREATE TABLE {} ({})").format(self.backup, columns))
        self._copy(then, keys)
        self.session.execute(sql.SQL("ANALYZE {}").format(self.backup))
        command = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} now JOIN {} kept ON {}")
        values = sql.SQL(", ").join(
            sql.SQL("now.{0}::text AS {0}").format(sql.Identifier(one)) for one in self.shape.names
        )
        self.session.execute(command.format(self.before, values, self.shape.relation, self.backup, self._same_key()))
        self.session.execute(sql.SQL("ANALYZE {}").format(self.before))

    def _copy(self, then: Connection, keys: list[str]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, self.shape.names))
        values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(one)) for one in self.shape.names)
        out = sql.SQL("COPY (SELECT {} FROM {} WHERE {} IN (SELECT chosen_key FROM {})) TO STDOUT")
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(self.backup, names)
        then.execute(sql.SQL("CREATE TEMPORARY TABLE {} (chosen_key text)").format(_CHOSEN))
        with then.cursor() as source, self.session.cursor() as target:
            with source.copy(sql.SQL("COPY {} FROM STDIN").format(_CHOSEN)) as chosen:
                for one in keys:
                    chosen.write_row((one,))
            asked = out.format(values, self.shape.relation, self.shape.identity, _CHOSEN)
            with source.copy(asked) as rows, target.copy(into) as here:
                for block in rows:
                    here.write(block)
        then.execute(sql.SQL("DROP TABLE {}").format(_CHOSEN))

    # writing

    def insert(self) -> int:
        """Bring back the rows that were not there."""
        columns = [one for one in self.shape.columns if not one.generated]
        names = sql.SQL(", ").join(sql.Identifier(one.name) for one in columns)
        values = sql.SQL(", ").join(_typed(one.name, one.type) for one in columns)
        command = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} kept WHERE NOT {}")
        return self._count(command.format(self.shape.relation, names, values, self.backup, self._was_there()))

    def update(self, source: sql.Identifier) -> int:
        """Give the rows that were there the values of one of both tables."""
        columns = [one for one in self.shape.columns if not (one.generated or one.always or one.name in self.shape.key)]
        if not columns:
            return 0
        values = [sql.SQL("{} = {}").format(sql.Identifier(one.name), _typed(one.name, one.type)) for one in columns]
        command = sql.SQL("UPDATE {} AS now SET {} FROM {} kept WHERE {} AND {}")
        joined, same = sql.SQL(", ").join(values), self._same_key()
        return self._count(command.format(self.shape.relation, joined, source, same, self._was_there()))

    def delete(self) -> int:
        """Take the rows away again that were not there."""
        command = sql.SQL("DELETE FROM {} AS now USING {} kept WHERE {} AND NOT {}")
        return self._count(command.format(self.shape.relation, self.backup, self._same_key(), self._was_there()))

    # looking

    def unlike(self, source: sql.Identifier) -> int:
        """Rows of one of both tables whose live row has not exactly the same values, or is not there."""
        question = sql.SQL("SELECT count(*) FROM {} kept LEFT JOIN {} now ON {} WHERE {} IS DISTINCT FROM {}")
        both = self._text(_NOW), self._text(_KEPT)
        return self._number(question.format(source, self.shape.relation, self._same_key(), *both))

    def come(self) -> int:
        """Rows that were not there and are there now."""
        question = sql.SQL("SELECT count(*) FROM {} kept JOIN {} now ON {} WHERE NOT {}")
        return self._number(question.format(self.backup, self.shape.relation, self._same_key(), self._was_there()))

    def rows(self) -> tuple[int, int]:
        """Rows to repair, and rows to bring back."""
        before, backup = (
            self._number(sql.SQL("SELECT count(*) FROM {}").format(one)) for one in (self.before, self.backup)
        )
        return before, backup - before

    def others(self) -> tuple[int, str]:
        """Number and hash of all live rows that are not of the repair."""
        question = sql.SQL(
            "SELECT count(*), coalesce(sum(hashtextextended({}, 0)::numeric), 0)::text FROM {} now"
            " WHERE NOT EXISTS (SELECT FROM {} kept WHERE {})"
        )
        asked = question.format(self._text(_NOW), self.shape.relation, self.backup, self._same_key())
        row: Any = self.session.execute(asked).fetchone()
        return int(row[0]), str(row[1])

    # words

    def _same_key(self) -> sql.Composed:
        types = {one.name: one.type for one in self.shape.columns}
        parts: Iterable[sql.Composed] = (
            sql.SQL("now.{} = {}").format(sql.Identifier(one), _typed(one, types[one])) for one in self.shape.key
        )
        return sql.SQL(" AND ").join(parts)

    def _was_there(self) -> sql.Composed:
        same = sql.SQL(" AND ").join(
            sql.SQL("was.{0} = kept.{0}").format(sql.Identifier(one)) for one in self.shape.key
        )
        return sql.SQL("EXISTS (SELECT FROM {} was WHERE {})").format(self.before, same)

    def _text(self, alias: str) -> sql.Composed:
        one = sql.SQL("{}.{}::text")
        values = (one.format(sql.Identifier(alias), sql.Identifier(name)) for name in self.shape.names)
        return sql.SQL("ROW({})::text").format(sql.SQL(", ").join(values))

    def _count(self, command: sql.Composed) -> int:
        return self.session.execute(command).rowcount

    def _number(self, question: sql.Composed) -> int:
        row: Any = self.session.execute(question).fetchone()
        return int(row[0])


def _typed(name: str, type_: str) -> sql.Composed:
    """A kept value as the table has it; the type's name is the catalogue's own, quoted where it has to be."""
    return sql.SQL("kept.{}::{}").format(sql.Identifier(name), sql.SQL(type_))
