"""Rows that come back and refer to what users have deleted since: they go as they would have gone then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.names import relation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rollback.database.server import Connection

__all__ = ["Reference", "references", "without_parents"]

_REFERENCES = """
    SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', pn.nspname, p.relname), k.confdeltype::text,
           (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u (attnum, n)
            JOIN pg_attribute a ON (a.attrelid, a.attnum) = (k.conrelid, u.attnum)),
           (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u (attnum, n)
            JOIN pg_attribute a ON (a.attrelid, a.attnum) = (k.confrelid, u.attnum))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE k.contype = 'f' AND n.nspname !~ '^pg_' ORDER BY 1, k.conname"""
_CASCADE, _SET_NULL = "c", "n"


@dataclass(frozen=True)
class Reference:
    """A foreign key that says what becomes of a row when its parent goes."""

    child: str
    parent: str
    action: str
    columns: tuple[str, ...]
    to: tuple[str, ...]


def references(session: Connection, tables: Collection[str]) -> list[Reference]:
    """Those of the given tables."""
    rows: list[Any] = session.execute(_REFERENCES.encode()).fetchall()
    found = [Reference(child, parent, action, tuple(mine), tuple(to)) for child, parent, action, mine, to in rows]
    return [one for one in found if one.child in tables]


def without_parents(session: Connection, found: Iterable[Reference]) -> None:
    """Delete or empty what has no parent, as its reference says, until nothing is left to do.

    What a reference says otherwise stays: the reference itself cannot be made then, and that is told.
    """
    listed = [one for one in found if one.action in (_CASCADE, _SET_NULL)]
    while any(session.execute(_command(one)).rowcount for one in listed):
        pass


def _command(one: Reference) -> sql.Composed:
    pairs = zip(one.columns, one.to, strict=True)
    same = (sql.SQL("parent.{} = child.{}").format(sql.Identifier(to), sql.Identifier(mine)) for mine, to in pairs)
    named = (sql.SQL("child.{} IS NOT NULL").format(sql.Identifier(mine)) for mine in one.columns)
    emptied = (sql.SQL("{} = NULL").format(sql.Identifier(mine)) for mine in one.columns)
    do = sql.SQL("DELETE FROM {} child") if one.action == _CASCADE else sql.SQL("UPDATE {} child SET {}")
    said = do.format(relation(one.child), *([] if one.action == _CASCADE else [sql.SQL(", ").join(emptied)]))
    where = sql.SQL("{} WHERE {} AND NOT EXISTS (SELECT FROM {} parent WHERE {})")
    return where.format(said, sql.SQL(" AND ").join(named), relation(one.parent), sql.SQL(" AND ").join(same))
