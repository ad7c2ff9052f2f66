"""What comes back with a schema: rows and values of a backup, laid beside the live tables before anything is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.names import parts
from rollback.database.schema import dump
from rollback.database.schema.tables import Relation, relations
from rollback.database.session import pinned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rollback.database.server import Connection

__all__ = ["Values", "count", "newer"]


@dataclass(frozen=True)
class Values:
    """Rows of tables and values of columns in a schema of their own, as text, named as in an attic.

    Attributes:
        session: on the live database, in autocommit.
        schema: where they are laid.
    """

    session: Connection
    schema: str

    def there(self) -> list[str]:
        """The tables of which something was laid, once all of it is."""
        question = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
        row: Any = self.session.execute(question, (self.schema,)).fetchone()
        return str(row[0]).split("\n") if row and row[0] else []

    def lay(self, then: Connection, tables: Collection[str], columns: Mapping[str, Collection[str]]) -> None:
        """Copy them from where the backup was restored; whole or not at all."""
        with self.session.transaction(), pinned(self.session), pinned(then):
            dump.silent(self.session)
            self._drop()
            self.session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
            known = relations(then)
            for table in tables:
                self._copy(then, known[table], [one.name for one in known[table].columns.values() if not one.generated])
            for table, names in columns.items():
                self._copy(then, known[table], sorted({*known[table].key, *names}))
            said = sql.SQL("COMMENT ON SCHEMA {} IS {}")
            listed = "\n".join([*tables, *columns])
            self.session.execute(said.format(sql.Identifier(self.schema), sql.Literal(listed)))

    def drop(self) -> None:
        """They are not needed."""
        with self.session.transaction():
            dump.silent(self.session)
            self._drop()

    def _drop(self) -> None:
        self.session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))

    def _copy(self, then: Connection, table: Relation, names: list[str]) -> None:
        mine = sql.Identifier(self.schema, table.name)
        texts = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(one)) for one in names)
        values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(one)) for one in names)
        self.session.execute(sql.SQL("CREATE TABLE {} ({})").format(mine, texts))
        out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(values, sql.Identifier(*parts(table.name)))
        with then.cursor() as source, self.session.cursor() as target:
            into = sql.SQL("COPY {} FROM STDIN").format(mine)
            with source.copy(out) as rows, target.copy(into) as here:
                for block in rows:
                    here.write(block)
        self.session.execute(sql.SQL("ANALYZE {}").format(mine))


def count(session: Connection, table: str) -> int:
    """Rows of a table, by its quoted name."""
    question = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*parts(table)))
    row: Any = session.execute(question).fetchone()
    return int(row[0])


def newer(live: Connection, then: Connection | None, table: str, key: Collection[str]) -> int:
    """Rows of a live table that a backup has no values for; all of them where there is no backup.

    Args:
        live: the live database.
        then: where the backup was restored; None without one.
        table: quoted name.
        key: columns of its primary key.
    """
    there = _keys(live, table, key)
    return len(there if then is None else there - _keys(then, table, key))


def _keys(session: Connection, table: str, key: Collection[str]) -> set[str]:
    words = sql.SQL(", ").join(map(sql.Identifier, key)) if key else sql.SQL("ctid")
    question = sql.SQL("SELECT ROW({})::text FROM {}").format(words, sql.Identifier(*parts(table)))
    with pinned(session):
        return {str(row[0]) for row in session.execute(question).fetchall()}
