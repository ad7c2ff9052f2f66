"""A schema as pg_dump writes it: one entry an object, in an order in which they can be made.

pg_dump knows every kind of object and what must be there before what; its own words are what brings an object back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollback.database import attic, fingerprint
from rollback.database.rows.repair import PREFIX as REPAIRS
from rollback.engine import CommandFailed

if TYPE_CHECKING:
    from rollback.database.server import Connection, Server

__all__ = ["Entry", "entries", "load", "ours", "text"]

_HEAD = re.compile(
    r"^--\n-- TOC entry (\d+) \(class (\d+) OID (\d+)\)\n(?:-- Dependencies: ([0-9 ]+)\n)?"
    r"-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*\n--\n",
    re.MULTILINE,
)
#: Between the entries: what psql and the next entries are told.
_ASIDE = re.compile(
    r"^(?:SET default_(?:tablespace|table_access_method) = [^;\n]*;|\\(?:un)?restrict .*|-- Completed on .*)$\n?",
    re.MULTILINE,
)
_END = "--\n-- PostgreSQL database dump complete\n--"
_OURS = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %s) OR starts_with(nspname, %s) ORDER BY oid"
_SILENT = """
    SELECT set_config('search_path', '', true), set_config('check_function_bodies', 'off', true),
           set_config('session_replication_role', 'replica', true)"""
_REFRESHED = "MATERIALIZED VIEW"


@dataclass(frozen=True)
class Entry:
    """One object, or one thing that is said of an object.

    Attributes:
        kind: in pg_dump's words: "TABLE", "FK CONSTRAINT", "COMMENT".
        schema: its schema; "-" where it has none.
        name: as pg_dump tells it; unique together with kind and schema, but for operators.
        sql: what makes it.
        number: in this dump.
        needs: numbers of the entries that it is about.
        classid: of the catalogue that holds it; 0 for what is said of an object.
        oid: in that catalogue.
    """

    kind: str
    schema: str
    name: str
    sql: str
    number: int = field(compare=False)
    needs: tuple[int, ...] = field(compare=False)
    classid: int = field(compare=False)
    oid: int = field(compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same object in two dumps."""
        return self.kind, self.schema, self.name


def ours(session: Connection) -> list[str]:
    """Schemas that the rollback itself has left: they are no part of anybody's schema."""
    return [str(row[0]) for row in session.execute(_OURS, (attic.PREFIX, REPAIRS)).fetchall()]


def text(server: Server, database: str) -> str:
    """What pg_dump writes of a schema, without what the rollback itself has left.

    Raises:
        CommandFailed: it ended with an error.
    """
    # --verbose: the identity of each object stands over it
    argv = ["pg_dump", "--schema-only", "--verbose", "--lock-wait-timeout", fingerprint.LOCK_WAIT]
    argv += [f"--exclude-schema={prefix}*" for prefix in (attic.PREFIX, REPAIRS)]
    result = server.run([*argv, "--dbname", database])
    if result.code != 0:
        said = (result.err.strip().splitlines() or ["no message"])[-1]
        raise CommandFailed(f"pg_dump of the schema of {database} ended with {result.code}: {said}")
    return result.out


def entries(dumped: str) -> list[Entry]:
    """The entries of a dump, in its order.

    Raises:
        CommandFailed: it is none.
    """
    whole = dumped.rpartition(_END)[0]
    heads = list(_HEAD.finditer(whole))
    if not whole:
        raise CommandFailed("what was kept of the schema is no whole dump")
    ends = [one.start() for one in heads[1:]] + [len(whole)]
    return [_entry(head, whole[head.end() : end]) for head, end in zip(heads, ends, strict=True)]


def _entry(head: re.Match[str], body: str) -> Entry:
    number, classid, oid, needs, name, kind, schema = head.groups()
    sql = _ASIDE.sub("", body).strip()
    return Entry(kind, schema, name, sql, int(number), tuple(map(int, (needs or "").split())), int(classid), int(oid))


def silent(session: Connection) -> None:
    """For this transaction: names are said in full, no function is read before its tables exist, no trigger fires."""
    session.execute(_SILENT)


def load(session: Connection, dumped: str) -> None:
    """Make a schema in an empty database of a scratch server; materialized views are filled, as they were."""
    with session.transaction():
        silent(session)
        found = entries(dumped)
        for one in found:
            if one.sql:
                session.execute(one.sql.encode())
        for one in found:
            if one.kind == _REFRESHED:
                session.execute(refreshed(session, one))


def refreshed(session: Connection, one: Entry) -> bytes:
    """The command that fills a materialized view."""
    row = session.execute("SELECT format('%%I.%%I', %s::text, %s::text)", (one.schema, one.name)).fetchone()
    return f"REFRESH MATERIALIZED VIEW {row[0] if row else ''}".encode()
