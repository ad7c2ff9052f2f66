"""Sequences: altered where they stand, and made such that no number is given out twice."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollback.database.schema.objects import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.schema.dump import Entry
    from rollback.database.server import Connection

__all__ = ["Sequences"]

_OWNER = """
    SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(a.attname), s.seqincrement < 0 FROM pg_depend d
    JOIN pg_sequence s ON s.seqrelid = d.objid
    JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid)
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.objid = %s::oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass"""
_LAST = """
    SELECT last_value FROM pg_sequences WHERE schemaname = %s AND sequencename = %s"""
_BEYOND = (
    "SELECT pg_catalog.setval({name}, {further}((SELECT {last}({column}) FROM {table}), (SELECT last_value FROM"
    " {sequence}))) WHERE EXISTS (SELECT FROM {table});"
)
#: The number that was given out last, in the way in which a sequence counts.
_UP, _DOWN = {"further": "greatest", "last": "max"}, {"further": "least", "last": "min"}
_IDENTITY = re.compile(r"AS IDENTITY \(\s*SEQUENCE NAME (.*?)\n(.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Sequences:
    """The statements for sequences that differ; remembers those that are made, for the end."""

    now: Connection
    then: Connection
    _new: list[Entry] = field(default_factory=list)

    def made(self, one: Entry, old: Entry | None) -> Iterator[str]:
        """Make it, or alter the one that is there, which goes on from where it stands."""
        if old is not None and _of_a_column(old) == _of_a_column(one):
            yield from _altered(one)
            return
        if old is not None:
            yield f"DROP SEQUENCE IF EXISTS {_name(one)};"
        yield one.sql
        if one not in self._new:
            self._new.append(one)
        last = self._last(one)
        if last is not None:
            yield f"SELECT pg_catalog.setval({_literal(_name(one))}, {last});"

    def last(self) -> Iterator[str]:
        """When rows are there: beyond the last number that is in use."""
        for one in self._new:
            row: Any = self.then.execute(_OWNER, (one.oid,)).fetchone()
            if row is not None:
                way = _DOWN if row[2] else _UP
                yield _BEYOND.format(name=_literal(_name(one)), sequence=_name(one), column=row[1], table=row[0], **way)

    def _last(self, one: Entry) -> int | None:
        row: Any = self.then.execute(_LAST, (one.schema, one.name)).fetchone()
        return None if row is None or row[0] is None else int(row[0])


def _of_a_column(one: Entry) -> bool:
    return one.sql.startswith("ALTER TABLE")


def _altered(one: Entry) -> Iterator[str]:
    identity = _IDENTITY.search(one.sql)
    if identity is not None:
        yield f"ALTER SEQUENCE {identity[1]}\n{identity[2].rstrip()};"
        return
    make, _, rest = one.sql.partition(";")
    words = make.replace("CREATE SEQUENCE", "ALTER SEQUENCE", 1).replace("CREATE UNLOGGED", "ALTER", 1)
    words += "" if "\n    AS " in make else "\n    AS bigint"
    words += "" if "\n    CYCLE" in make else "\n    NO CYCLE"
    yield f"{words};{rest}"


def _name(one: Entry) -> str:
    return f"{quoted(one.schema)}.{quoted(one.name)}"


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
