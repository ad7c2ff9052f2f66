"""Objects by their identity in the catalogues: what stands on what, and how one is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.database.server import Connection

__all__ = [
    "Address", "column", "dependents", "dropping", "invalid_indexes", "quoted", "tables_of", "users_of",
]  # fmt: skip

#: Everything that would have to go, as DROP ... CASCADE sees it. A view goes by its rule; the sequence of a column
#: stays while the column does, and goes with it.
_DEPENDENTS = """
    WITH RECURSIVE going (classid, objid, objsubid) AS (
        SELECT * FROM unnest(%s::oid[], %s::oid[], %s::int[])
        UNION
        SELECT next.* FROM going g CROSS JOIN LATERAL (
            SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
            WHERE d.refclassid = g.classid AND d.refobjid = g.objid
            AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid) AND d.deptype IN ('n', 'a', 'i', 'P', 'S')
            AND NOT EXISTS (SELECT FROM pg_sequence s WHERE d.classid = 'pg_class'::regclass AND s.seqrelid = d.objid)
            UNION ALL
            SELECT 'pg_class'::regclass, r.ev_class, 0 FROM pg_rewrite r
            WHERE g.classid = 'pg_rewrite'::regclass AND r.oid = g.objid AND r.rulename = '_RETURN'
        ) next
    )
    SELECT DISTINCT classid::int8, objid::int8, objsubid FROM going"""
_IDENTITY = "SELECT type, identity FROM pg_identify_object(%s::oid, %s::oid, 0)"
_CONSTRAINT = """
    SELECT CASE WHEN conrelid <> 0 THEN 'TABLE ' || conrelid::regclass ELSE 'DOMAIN ' || contypid::regtype END,
           quote_ident(conname) FROM pg_constraint WHERE oid = %s::oid"""
_COLUMN = "SELECT attrelid::int8, attnum FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
_INVALID = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) ORDER BY 1"""
_USERS = """
    SELECT format('%%I.%%I', n.nspname, c.relname), a.attname::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind = 'r' AND NOT a.attisdropped AND a.attnum > 0 AND %s::oid IN (t.oid, t.typelem) ORDER BY 1, 2"""
#: Identities are unique within a catalogue only; a table too many is locked for nothing.
_TABLES = """
    SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.oid IN (
        SELECT indrelid FROM pg_index WHERE indexrelid = ANY(%(oids)s::oid[])
        UNION SELECT unnest(ARRAY[conrelid, confrelid]) FROM pg_constraint WHERE oid = ANY(%(oids)s::oid[])
        UNION SELECT tgrelid FROM pg_trigger WHERE oid = ANY(%(oids)s::oid[])
        UNION SELECT ev_class FROM pg_rewrite WHERE oid = ANY(%(oids)s::oid[])
        UNION SELECT polrelid FROM pg_policy WHERE oid = ANY(%(oids)s::oid[])
        UNION SELECT stxrelid FROM pg_statistic_ext WHERE oid = ANY(%(oids)s::oid[]))"""
_WORDS = {"composite type": "type", "statistics object": "statistics", "default acl": ""}


@dataclass(frozen=True, order=True)
class Address:
    """An object, or a column of one, as pg_depend names it."""

    classid: int
    oid: int
    sub: int = 0


def dependents(session: Connection, seeds: Iterable[Address]) -> set[Address]:
    """The seeds and everything that stands on them."""
    listed = list(seeds)
    values = [one.classid for one in listed], [one.oid for one in listed], [one.sub for one in listed]
    rows: list[Any] = session.execute(_DEPENDENTS, values).fetchall()
    return {Address(*map(int, row)) for row in rows}


def column(session: Connection, table: str, name: str) -> Address:
    """A column, by the quoted name of its table."""
    row: Any = session.execute(_COLUMN, (table, name)).fetchone()
    return Address(_classid(session, "pg_class"), int(row[0]), int(row[1]))


def _classid(session: Connection, catalogue: str) -> int:
    row: Any = session.execute("SELECT %s::regclass::oid::int8", (catalogue,)).fetchone()
    return int(row[0])


def dropping(session: Connection, one: Address) -> str:
    """The statement that drops an object, and nothing else: what stands on it makes it fail."""
    row: Any = session.execute(_IDENTITY, (one.classid, one.oid)).fetchone()
    kind, identity = str(row[0]), str(row[1])
    if kind in ("table constraint", "domain constraint"):
        where, name = _pair(session, _CONSTRAINT, one.oid)
        return f"ALTER {where} DROP CONSTRAINT {name};"
    exists = "IF EXISTS " if kind == "sequence" else ""
    return f"DROP {_WORDS.get(kind, kind).upper()} {exists}{identity};"


def _pair(session: Connection, question: str, oid: int) -> tuple[str, str]:
    row: Any = session.execute(question.encode(), (oid,)).fetchone()
    return str(row[0]), str(row[1])


def users_of(session: Connection, type_: int) -> list[tuple[str, str]]:
    """The columns of tables that are of a type, or of its array: quoted table, plain column."""
    rows: list[Any] = session.execute(_USERS, (type_,)).fetchall()
    return [(str(table), str(name)) for table, name in rows]


def invalid_indexes(session: Connection) -> list[str]:
    """What a CREATE INDEX CONCURRENTLY that was cut off has left: no dump holds it."""
    return [str(row[0]) for row in session.execute(_INVALID).fetchall()]


def tables_of(session: Connection, addresses: Iterable[Address]) -> set[str]:
    """The tables on which indexes, constraints, triggers, rules, policies and statistics are."""
    listed = [one.oid for one in addresses]
    return {str(row[0]) for row in session.execute(_TABLES, {"oids": listed}).fetchall()}


def quoted(name: str) -> str:
    """An identifier as it stands in a statement."""
    return sql.Identifier(name).as_string()
