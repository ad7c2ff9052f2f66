"""What a table is, as far as its rows can be told apart, compared and put back; and who refers to whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.session import pinned
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rollback.database.server import Connection

__all__ = ["Column", "Reference", "Shape", "named", "parents_first", "references", "shape"]

_NAMED = """
    SELECT n.nspname || '.' || c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND c.relpersistence <> 't' AND (c.relname = %(name)s OR n.nspname || '.' || c.relname = %(name)s) ORDER BY 1"""
_KINDS = {"p": "is partitioned", "f": "is a foreign table", "m": "is a materialized view", "v": "is a view"}
_COLUMNS = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity = 'a'
    FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname"""
_KEY = """
    SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = %s::regclass ORDER BY a.attname"""
_ENTANGLED = """
    SELECT EXISTS (SELECT FROM pg_inherits WHERE %(table)s::regclass IN (inhrelid, inhparent)),
           EXISTS (SELECT FROM pg_rewrite WHERE ev_class = %(table)s::regclass)"""
_REFERENCES = """
    SELECT cn.nspname || '.' || c.relname, pn.nspname || '.' || p.relname,
           (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k (num, n)
            JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num),
           (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY k (num, n)
            JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num), f.confdeltype::text
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY 1, 2, f.conname"""
#: PostgreSQL's letters for ON DELETE CASCADE and ON DELETE SET NULL.
CASCADE, SET_NULL = "c", "n"


@dataclass(frozen=True)
class Column:
    """One column; `always` is GENERATED ALWAYS AS IDENTITY, which no UPDATE may set."""

    name: str
    type: str
    generated: bool = False
    always: bool = False


@dataclass(frozen=True)
class Shape:
    """One table: its qualified name, its columns by name in order, and its primary key."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def relation(self) -> sql.Identifier:
        """Its name in a statement."""
        return relation(self.table)

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        return [one.name for one in self.columns]

    @property
    def identity(self) -> sql.Composed:
        """The key of a row as one text, in statements whose only table this is; as `late` has it."""
        return sql.SQL("jsonb_build_array({})::text").format(sql.SQL(", ").join(map(sql.Identifier, self.key)))


@dataclass(frozen=True)
class Reference:
    """A foreign key: `columns` of `child` name the row of `parent` that has the same values in `to`."""

    child: str
    parent: str
    columns: tuple[str, ...] = field(default=())
    to: tuple[str, ...] = field(default=())
    on_delete: str = CASCADE


def relation(table: str) -> sql.Identifier:
    """The qualified name of a table in a statement."""
    return sql.Identifier(*table.split("."))


def named(session: Connection, name: str) -> str:
    """The qualified name of a table that was named with or without its schema.

    Raises:
        Refused: there is none, there are several, or it holds rows in a way that is not followed here.
    """
    found: list[Any] = session.execute(_NAMED, {"name": name}).fetchall()
    if not found:
        raise Refused(f"There is no table {name}.", "`rollback backup show BACKUP` lists those of a backup")
    if len(found) > 1:
        raise Refused(f"{name} may be {' or '.join(str(one) for one, _ in found)}.", "name it with its schema")
    table, kind = found[0]
    if kind in _KINDS or table.count(".") != 1:
        raise Refused(f"{table} {_KINDS.get(kind, 'has a dot in its name')}: its rows cannot be followed here.")
    return str(table)


def shape(session: Connection, table: str) -> Shape:
    """What a table is.

    Raises:
        Refused: its rows cannot be told apart, or writing them would write elsewhere.
    """
    quoted = relation(table).as_string(session)
    with pinned(session):
        columns: list[Any] = session.execute(_COLUMNS, (quoted,)).fetchall()
    key = tuple(str(row[0]) for row in session.execute(_KEY, (quoted,)).fetchall())
    entangled: Any = session.execute(_ENTANGLED, {"table": quoted}).fetchone()
    wrong = ["has no primary key: its rows cannot be told apart"] if not key else []
    wrong += [told for is_so, told in zip(entangled, ("inherits or is inherited", "has rules"), strict=True) if is_so]
    if wrong:
        raise Refused(f"{table} {', '.join(wrong)}.", "restore the whole database beside, and copy by hand")
    return Shape(table, tuple(Column(*row) for row in columns), key)


def references(session: Connection) -> list[Reference]:
    """Every foreign key of the database."""
    rows: list[Any] = session.execute(_REFERENCES).fetchall()
    return [Reference(child, parent, tuple(columns), tuple(to), kind) for child, parent, columns, to, kind in rows]


def parents_first(tables: Collection[str], between: Sequence[Reference]) -> list[str]:
    """The tables in an order in which each comes after those it refers to; in a circle PostgreSQL has to decide."""
    left, ordered = sorted(tables), list[str]()
    while left:
        ready = [one for one in left if not _waits(one, left, between)] or left[:1]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def _waits(table: str, left: list[str], between: Sequence[Reference]) -> bool:
    return any(one.child == table and one.parent in left and one.parent != table for one in between)
