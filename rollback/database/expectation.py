"""What a migration made, seen in a scratch PostgreSQL: the difference that taking it back has to undo.

The live database may have drifted (an index of the administrator's, a table of somebody's): what counts is not what its
schema should be, but that exactly what the migration made is gone again and nothing else has changed. An object that
the migration changed must be in the live database as it left it: drift in that very object is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from rollback.database.fingerprint import Difference, difference, logical
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from rollback.database.server import Connection, Server

__all__ = ["Made", "Migration", "made_by", "with_roles"]

_REFERS_TO = re.compile(r"^FOREIGN KEY \(.*?\) REFERENCES ([\w$]+\.[\w$]+)\(")


@dataclass(frozen=True)
class Migration:
    """One migration of the checkout.

    Attributes:
        version: as the history names it.
        name: of its file, for people.
        up: its SQL.
        down: the SQL that takes it back; empty where there is none.
        path: its file.
        script: the file that takes it back; None where there is none.
    """

    version: str
    name: str
    up: str
    down: str = ""
    path: Path | None = None
    script: Path | None = None


@dataclass(frozen=True)
class Made:
    """What a migration made, changed and took away, in the order of names."""

    differences: tuple[Difference, ...]

    def tables(self) -> list[str]:
        """Tables that it made: taking it back loses their rows."""
        return [
            one.name.removeprefix("relation ")
            for one in self.differences
            if one.before is None and one.name.startswith("relation ") and " table " in f" {one.after} "
        ]

    def partitioned(self) -> list[str]:
        """Partitioned tables and partitions that it made."""
        return [
            one.name.removeprefix("relation ")
            for one in self.differences
            if one.before is None
            and one.name.startswith("relation ")
            and "partition" in (one.after or "").split(" as ")[0]
        ]

    def columns(self) -> dict[str, list[str]]:
        """Columns that it added to tables that were there before, by table: taking it back loses their values."""
        new, found = self._new(), dict[str, list[str]]()
        for one in self.differences:
            table, _, column = one.name.removeprefix("column ").rpartition(".")
            if one.before is None and one.name.startswith("column ") and table not in new:
                found.setdefault(table, []).append(column)
        return found

    def _new(self) -> set[str]:
        """Relations that it made, views included."""
        made = (one for one in self.differences if one.before is None and one.name.startswith("relation "))
        return {one.name.removeprefix("relation ") for one in made}

    def parents(self) -> list[str]:
        """Tables that were there before and to which its foreign keys refer: nobody deletes from them meanwhile."""
        keys = [one.before or one.after or "" for one in self.differences if one.name.startswith("constraint ")]
        return sorted({found[1] for one in keys if (found := _REFERS_TO.match(one))} - self._new())

    def touched(self) -> list[str]:
        """Relations that were there before and of which it changed anything: they are locked while it is taken back."""
        new = self._new()
        names = {_table_of(one.name) for one in self.differences}
        return sorted(name for name in names if name and name not in new)


def _table_of(name: str) -> str | None:
    """The relation that an object is or belongs to."""
    for kind in ("relation", "column", "constraint", "enforcement", "index", "trigger", "rule", "policy"):
        if name.startswith(f"{kind} "):
            parts = name.removeprefix(f"{kind} ").split(".")
            return ".".join(parts[:2]) if len(parts) > 1 else None
    return None


def made_by(
    server: Server, migrations: Iterable[Migration], versions: Collection[str], roles: Collection[str]
) -> dict[str, Made]:
    """Apply migrations one after the other in a scratch server and tell what each of `versions` made.

    Raises:
        Refused: a migration does not apply there; with its name and PostgreSQL's words.
    """
    found = {}
    with server.connect(_new_database(server)) as session:
        with_roles(session, roles)
        for one in migrations:
            before = logical(session) if one.version in versions else None
            _apply(session, one)
            if before is not None:
                found[one.version] = Made(tuple(difference(before, logical(session))))
    return found


def _new_database(server: Server) -> str:
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS expectation WITH (FORCE)")
        admin.execute("CREATE DATABASE expectation")
    return "expectation"


def with_roles(session: Connection, roles: Collection[str]) -> None:
    """Grants name roles; they need not be able to do anything."""
    for role in roles:
        name = psycopg.sql.Identifier(role)
        there = session.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
        if there is None:
            session.execute(psycopg.sql.SQL("CREATE ROLE {}").format(name))
    session.commit()


def _apply(session: Connection, one: Migration) -> None:
    try:
        session.execute(one.up.encode())
        session.commit()
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or ["no message"])[0]
        raise Refused(
            f"The migration {one.name} of the checkout does not apply in a scratch database: {said}.",
            "`rollback migration check` says more; put the files back as they were when they were applied",
        ) from error
