"""A few rows for every empty table, right in type, so that a rollback that loses data has something to lose.

Values are as wide as the column allows (long texts, integers beyond the next smaller type): what narrows is seen.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.database.server import Connection

__all__ = ["ROWS", "fill"]

#: Rows for each table.
ROWS = 3
_TABLES = """
    SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2"""
_COLUMNS = """
    SELECT a.attname::text, b.typname::text, b.typtype::text, b.typcategory::text,
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder),
           coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
                     WHERE k.contype = 'c' AND (k.contypid = t.oid AND t.typtype = 'd'
                     OR k.conrelid = a.attrelid AND a.attnum = ANY(k.conkey))), '')
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
    AND (NOT a.atthasdef OR EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = a.attrelid
                                    AND a.attnum = ANY(f.conkey)))
    ORDER BY a.attnum"""
_PARENTS = """
    SELECT p.relname::text, n.nspname::text, f.confrelid = f.conrelid,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY k(num, at)
                 JOIN pg_attribute a ON (a.attrelid, a.attnum) = (f.conrelid, k.num) ORDER BY k.at),
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY k(num, at)
                 JOIN pg_attribute a ON (a.attrelid, a.attnum) = (f.confrelid, k.num) ORDER BY k.at)
    FROM pg_constraint f JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
    WHERE f.contype = 'f' AND f.conrelid = %s AND f.conparentid = 0"""
_LITERAL = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    typtype: str
    category: str
    typmod: int
    required: bool
    labels: list[str]
    checks: str


def fill(connection: Connection, without: Collection[str]) -> dict[str, str]:
    """Put rows into every empty table, parents first; says for each that stays empty why.

    Args:
        connection: in autocommit.
        without: qualified names of tables that are left alone.
    """
    tables: list[Any] = connection.execute(_TABLES).fetchall()
    waiting = [one for one in tables if f"{one[0]}.{one[1]}" not in without and _empty(connection, one[0], one[1])]
    while True:
        reasons = {f"{schema}.{name}": _fill_one(connection, schema, name, oid) for schema, name, oid in waiting}
        still = [one for one in waiting if reasons[f"{one[0]}.{one[1]}"]]
        if not still or len(still) == len(waiting):
            return {name: why for name, why in reasons.items() if why}
        waiting = still


def _empty(connection: Connection, schema: str, name: str) -> bool:
    question = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, name))
    row: Any = connection.execute(question).fetchone()
    return bool(row[0])


def _fill_one(connection: Connection, schema: str, name: str, oid: int) -> str:
    """Why no row could be put in; empty when one could."""
    why = ""
    for json in ('{"n": %d}', "[%d]"):
        rows = 0
        for number in range(1, ROWS + 1):
            reason = _insert(connection, (schema, name, oid), number, json)
            rows, why = rows + (not reason), reason or why
        if rows:
            return ""
    return why


def _insert(connection: Connection, table: tuple[str, str, int], number: int, json: str) -> str:
    schema, name, oid = table
    found = [_Column(*row) for row in _rows(connection, _COLUMNS, oid)]
    values = {one.name: _value(one, number, json) for one in found}
    for parent, its_schema, itself, own, theirs in _rows(connection, _PARENTS, oid):
        key = _key(connection, its_schema, parent, theirs, number)
        required = any(one.required for one in found if one.name in own)
        if key is None and required and not itself:
            return f"its parent {its_schema}.{parent} is empty"
        values |= dict(zip(own, key or [None] * len(own), strict=True))
    return _put(connection, sql.Identifier(schema, name), values)


def _put(connection: Connection, relation: sql.Identifier, values: dict[str, object]) -> str:
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    marks = sql.SQL(", ").join(sql.Placeholder() * len(values))
    some = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(relation, names, marks)
    none = sql.SQL("INSERT INTO {} DEFAULT VALUES").format(relation)
    try:
        connection.execute(some if values else none, list(values.values()))
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    return ""


def _rows(connection: Connection, question: str, oid: int) -> Iterator[Any]:
    yield from connection.execute(question.encode(), (oid,)).fetchall()


def _key(connection: Connection, schema: str, name: str, columns: list[str], number: int) -> list[object] | None:
    """The key of a parent's row, another for each number as far as there are."""
    key = sql.SQL(", ").join(map(sql.Identifier, columns))
    text = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(one)) for one in columns)
    asked = sql.SQL("SELECT {} FROM {} ORDER BY {} LIMIT {}")
    rows: list[Any] = connection.execute(
        asked.format(text, sql.Identifier(schema, name), key, sql.Literal(number))
    ).fetchall()
    return list(rows[-1]) if rows else None


_FIXED = {
    "int2": "10{n}", "int4": "10000{n}", "int8": "500000000{n}", "oid": "{n}", "float4": "{n}.5",
    "float8": "1234567.12345{n}", "date": "2024-01-0{n}", "time": "12:00:0{n}.123456", "timetz": "12:00:0{n}+00",
    "timestamp": "2024-01-0{n} 12:34:56.789012", "timestamptz": "2024-01-0{n} 12:34:56.789012+00",
    "interval": "{n} days 01:02:03.456", "bytea": "\\x00ff0{n}", "inet": "10.0.0.{n}", "cidr": "10.0.{n}.0/24",
    "macaddr": "08:00:2b:01:02:0{n}", "point": "({n},2)", "box": "(1,1),(0,0)", "xml": "<n>{n}</n>",
    "tsvector": "a{n}", "bool": "true",
}  # fmt: skip


def _value(column: _Column, number: int, json: str) -> object:
    """Text of a value of that type; PostgreSQL reads it as it reads a literal."""
    if column.labels:
        return column.labels[(number - 1) % len(column.labels)]
    if column.type in ("json", "jsonb"):
        return json % number
    if column.category == "S":
        return _text(column, number)
    return _plain(column, number)


def _plain(column: _Column, number: int) -> str:
    if column.type == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{column.name} {number}"))
    if column.type == "numeric":
        return f"{number}" if column.typmod >= 0 else f"12345.678{number}"
    if column.category == "V":
        return "1" * max(column.typmod, 1)
    if column.category == "A":
        return "{}"
    return "empty" if column.typtype == "r" else _FIXED.get(column.type, "{n}").format(n=number)


def _text(column: _Column, number: int) -> str:
    allowed = _LITERAL.findall(column.checks)
    words = [one for one in allowed if one and not re.search(r"[%^$\\*]", one)]
    if words:
        return str(words[(number - 1) % len(words)]).replace("''", "'")
    text = f"{number} {column.name}" if "mail" not in column.name else f"{number}.{column.name}@example.org"
    limit = column.typmod - 4 if column.typmod > 0 else len(text) + 48
    return text.ljust(limit, "x")[:limit] if "mail" not in column.name else text[:limit]
