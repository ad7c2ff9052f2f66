"""What the tables hold, as figures that can be compared: count, content hash, largest key; and the sequences.

The hash does not depend on the order of rows, nor on the physical order of columns: it is a sum over the rows of
a hash of their values by name. What the text of values depends on is pinned while they are read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.session import pinned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rollback.database.server import Connection

__all__ = ["Table", "columns", "contents", "moved", "sequences", "table", "unlike", "written"]

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' AND c.relispopulated ORDER BY 1, 2"""
_COLUMNS = """
    SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1, 2"""
_KEY = """
    SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass ORDER BY a.attname"""
_WRITTEN = """
    SELECT schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"""
_SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences ORDER BY 1"""


@dataclass(frozen=True)
class Table:
    """What one table holds.

    Attributes:
        count: rows.
        hash: of all values of the columns, by name; a decimal number.
        largest: the largest primary key in its own order, as text; None without rows or without a key.
        columns: the names that the hash covers.
    """

    count: int
    hash: str
    largest: str | None
    columns: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {**asdict(self), "columns": list(self.columns)}


def columns(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The columns of every table, by name in order: "public.users" -> ("email", "id")."""
    rows: list[Any] = connection.execute(_COLUMNS).fetchall()
    return {f"{schema}.{name}": tuple(names) for schema, name, names in rows}


def contents(
    connection: Connection, only: Mapping[str, Collection[str]] | None = None, without: Collection[str] = ()
) -> dict[str, Table]:
    """What every table holds, as the open transaction sees it.

    Args:
        connection: where to read.
        only: for these tables the columns that count (those on both sides of a change); all others are left
            out. None: every table with all its columns.
        without: tables that are left out.
    """
    there = columns(connection)
    rows: list[Any] = connection.execute(_TABLES).fetchall()
    found = {}
    with pinned(connection):
        for schema, name in rows:
            key = f"{schema}.{name}"
            mine = there.get(key, ())
            wanted = tuple(mine) if only is None else tuple(sorted(set(only.get(key, ())) & set(mine)))
            if key not in without and (only is None or key in only):
                found[key] = _table(connection, schema, name, wanted)
    return found


def table(connection: Connection, schema: str, name: str, names: tuple[str, ...]) -> Table:
    """What one table holds, over the given columns."""
    with pinned(connection):
        return _table(connection, schema, name, names)


def _table(connection: Connection, schema: str, name: str, names: tuple[str, ...]) -> Table:
    relation = sql.Identifier(schema, name)
    row = sql.SQL(", ").join(map(sql.Identifier, names))
    question = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM {}")
    counted: Any = connection.execute(question.format(row, relation)).fetchone()
    return Table(int(counted[0]), str(counted[1]), _largest(connection, schema, name), names)


def _largest(connection: Connection, schema: str, name: str) -> str | None:
    key: list[Any] = connection.execute(_KEY, (schema, name)).fetchall()
    if not key:
        return None
    parts = [sql.Identifier(one[0]) for one in key]
    order = sql.SQL(", ").join(sql.SQL("{} DESC").format(part) for part in parts)
    question = sql.SQL("SELECT concat_ws(',', {}) FROM {} ORDER BY {} LIMIT 1")
    asked = question.format(sql.SQL(", ").join(parts), sql.Identifier(schema, name), order)
    row: Any = connection.execute(asked).fetchone()
    return str(row[0]) if row else None


def sequences(connection: Connection) -> dict[str, int | None]:
    """The last value of every sequence; None where it was never used."""
    rows: list[Any] = connection.execute(_SEQUENCES).fetchall()
    return {str(name): value for name, value in rows}


def written(connection: Connection) -> dict[str, int]:
    """Rows that this transaction has written so far, by table; triggers and cascades are counted as well."""
    rows: list[Any] = connection.execute(_WRITTEN).fetchall()
    return {str(name): int(count) for name, count in rows}


def unlike(before: dict[str, Table], after: dict[str, Table]) -> list[str]:
    """Tables whose rows are not what they were, a sentence each."""
    told = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table), after.get(table)
        if old is None or new is None:
            told.append(f"table {table} is {'gone' if new is None else 'new'}")
        elif old.columns != new.columns:
            told.append(f"{table} has lost {', '.join(sorted(set(old.columns) - set(new.columns)))}")
        elif old.count != new.count:
            told.append(f"{table} has {new.count} rows, had {old.count}")
        elif old.hash != new.hash:
            told.append(f"values in {table} are not what they were ({old.count} rows)")
    return told


def moved(before: dict[str, int | None], after: dict[str, int | None]) -> list[str]:
    """Other sequences that do not stand where they stood; what users drew meanwhile only goes forward."""
    return [
        f"sequence {name} went back from {old} to {after[name]}"
        for name, old in before.items()
        if name in after and old is not None and (after[name] or 0) < old
    ]
