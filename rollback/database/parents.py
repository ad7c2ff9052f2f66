"""Foreign keys of rows that come back: whoever they refer to may have gone meanwhile, and nobody was asked then.

What is brought back is written with triggers at rest, so PostgreSQL does not check it. Here it is checked: a row whose
parent is gone goes as well where its key says ON DELETE CASCADE; any other one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.names import relation
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from rollback.database.server import Connection

__all__ = ["Key", "gone_with_their_parents", "keys", "refuse_orphans", "without_parents"]

_KEYS = """
    SELECT k.conname::text, format('%%I.%%I', n.nspname, p.relname), array[n.nspname::text, p.relname::text],
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY o (number, at) JOIN pg_attribute a
                 ON (a.attrelid, a.attnum) = (k.conrelid, o.number) ORDER BY o.at),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY o (number, at) JOIN pg_attribute a
                 ON (a.attrelid, a.attnum) = (k.confrelid, o.number) ORDER BY o.at),
           k.confdeltype = 'c'
    FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
    WHERE k.contype = 'f' AND k.convalidated AND k.conrelid = %s::regclass ORDER BY 1"""


@dataclass(frozen=True)
class Key:
    """A foreign key: its table, its name, the parent (as quoted, and its plain words), columns on both sides."""

    table: str
    name: str
    parent: str
    parent_words: list[str]
    columns: list[str]
    theirs: list[str]
    cascades: bool

    def orphans(self) -> sql.Composed:
        """The condition of rows of `child` that refer to nobody; a reference that is empty in part refers to none."""
        columns = zip(self.columns, self.theirs, strict=True)
        pairs = [(sql.Identifier("child", one), sql.Identifier(two)) for one, two in columns]
        there = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(ours) for ours, _ in pairs)
        same = sql.SQL(" AND ").join(sql.SQL("parent.{} = {}").format(theirs, ours) for ours, theirs in pairs)
        parent = sql.Identifier(*self.parent_words)
        return sql.SQL("{} AND NOT EXISTS (SELECT FROM {} parent WHERE {})").format(there, parent, same)


def gone_with_their_parents(session: Connection, tables: Collection[str]) -> None:
    """Delete rows of these tables whose parent is gone and whose key says ON DELETE CASCADE, and what hangs on them."""
    without_parents(session, keys(session, tables))


def without_parents(session: Connection, known: Collection[Key]) -> None:
    """The same, by keys that are known: the tables need not have them yet."""
    command = sql.SQL("DELETE FROM {} child WHERE {}")
    found = [(relation(key.table), key.orphans()) for key in known if key.cascades]
    while sum(session.execute(command.format(*one)).rowcount for one in found):
        pass


def refuse_orphans(session: Connection, tables: Collection[str]) -> None:
    """Every row of these tables finds whom it refers to.

    Raises:
        Refused: one does not; it names the tables, the key and how many.
    """
    question = sql.SQL("SELECT count(*) FROM {} child WHERE {}")
    for key in keys(session, tables):
        row = session.execute(question.format(relation(key.table), key.orphans())).fetchone()
        if row and row[0]:
            raise Refused(
                f"{row[0]} rows of {key.table} would refer to rows of {key.parent} that are gone ({key.name}).",
                "put those back (`rollback rows`), or decide in the attic what becomes of the rows",
            )


def keys(session: Connection, tables: Collection[str]) -> list[Key]:
    """The foreign keys of these tables."""
    rows: list[Any] = [(table, *row) for table in tables for row in session.execute(_KEYS, (table,)).fetchall()]
    return [Key(*row) for row in rows]
