"""The way from one schema to another found and walked on copies without rows, in a scratch server."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from rollback.database.fingerprint import Schema, difference, logical
from rollback.database.locks import BUSY
from rollback.database.refusals import told
from rollback.database.schema import dump, objects
from rollback.database.schema.difference import Comparison
from rollback.database.schema.sides import Side
from rollback.database.session import pinned
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.database.schema.change import Change
    from rollback.database.server import Connection, Server

__all__ = ["cleared", "found_by", "of_its_own", "schema_of", "walk"]

REHEARSAL = "rollback_rehearsal"
_SHOWN = 8
_WAY = "`rollback database` brings schema and rows back together"


def schema_of(session: Connection) -> Schema:
    """The schema of a database, without what the rollback itself has left in it, and without what no dump holds.

    That is an index that was never finished: `cleared` tells of it.
    """
    found = logical(session, schemas=dump.ours(session)).objects
    return Schema({name: text for name, text in found.items() if not _unfinished(name, text)})


def _unfinished(name: str, text: str) -> bool:
    return name.startswith("index ") and text.endswith(" invalid")


@contextmanager
def of_its_own(server: Server, name: str, dumped: str) -> Iterator[Connection]:
    """A new database of a scratch server with a schema and no rows, gone with the block; a session in autocommit.

    Raises:
        Refused: the schema cannot be made there.
    """
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            with server.connect(name, autocommit=True) as session:
                _loaded(session, dumped)
                yield session
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _loaded(session: Connection, dumped: str) -> None:
    try:
        dump.load(session, dumped)
    except psycopg.Error as error:
        raise Refused(f"The schema cannot be made in a scratch server: {told(error)}.", _WAY) from error


def found_by(server: Server, now: str, before: Schema, target: str) -> Change:
    """The statements that make the schema `now` that of the database `target`, seen to do so.

    Args:
        server: a scratch server that holds the target.
        now: dump of the schema that is to be brought back.
        before: its fingerprint, by which the copy is believed.
        target: name of the database.

    Raises:
        Refused: the copy is not what was dumped, something differs that cannot be altered in place, or the result is
            not the target's schema.
    """
    with ExitStack() as stack:
        copy = stack.enter_context(of_its_own(server, REHEARSAL, now))
        then = stack.enter_context(server.connect(target, autocommit=True))
        _same(before, schema_of(copy), "The schema cannot be copied to be rehearsed on")
        stack.enter_context(pinned(copy))
        stack.enter_context(pinned(then))
        sides = [Side(one, dump.entries(dump.text(server, name))) for one, name in ((copy, REHEARSAL), (then, target))]
        change = Comparison(*sides).change()
        with copy.transaction():
            walk(copy, [*change.first, *change.last])
        _same(schema_of(then), schema_of(copy), "The statements that were found do not bring the schema back")
    return change


def walk(session: Connection, statements: Sequence[str]) -> None:
    """Carry statements out, in the caller's transaction.

    Raises:
        Refused: one fails; it is named.
    """
    dump.silent(session)
    for one in statements:
        try:
            session.execute(one.encode())
        except BUSY:
            raise
        except psycopg.Error as error:
            raise Refused(f"`{' '.join(one.split())[:200]}` fails: {told(error)}.", _WAY) from error


def _same(wanted: Schema, there: Schema, what: str) -> None:
    differing = difference(wanted, there)
    if differing:
        more = f" ... and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise Refused(f"{what}: {'; '.join(map(str, differing[:_SHOWN]))}{more}.", _WAY)


def cleared(session: Connection) -> list[str]:
    """What no dump holds and has to go: indexes that were never finished."""
    return [f"DROP INDEX {one};" for one in objects.invalid_indexes(session)]
