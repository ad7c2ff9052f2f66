"""The attic: what taking a migration back would lose, in a schema of its own, to be brought forward again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.database.expectation import Made
    from rollback.database.server import Connection

__all__ = ["PREFIX", "bring_back", "keep", "kept", "schemas", "shelve_history"]

PREFIX = "rollback_attic_"
_HISTORY = "migration_history"

_KEY = """
    SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = %s::regclass ORDER BY a.attname"""
#: Types that are not the server's own are kept as text: the migration may have made the type, and it goes as well.
_STORED = """
    SELECT attname::text, format_type(atttypid, atttypmod), atttypid >= 16384 FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attname"""
_OWNED = """
    SELECT a.attname::text, pg_get_serial_sequence(%s, a.attname) FROM pg_attribute a
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    AND pg_get_serial_sequence(%s, a.attname) IS NOT NULL"""


def schemas(session: Connection) -> list[str]:
    """All attics of the database, oldest first; they are no part of any fingerprint."""
    rows = session.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY oid", (PREFIX,))
    return [str(row[0]) for row in rows.fetchall()]


def keep(session: Connection, attic: str, made: Made) -> dict[str, int]:
    """Copy what will be lost; rows kept by table.

    A copy and no move: the script that takes back finds everything where it expects it.
    """
    session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(attic)))
    rows = {table: _copy(session, attic, table, _stored(session, table), []) for table in made.tables()}
    for table, lost in made.columns().items():
        wanted = {*_key(session, table), *lost}
        columns = [one for one in _stored(session, table) if one.name in wanted]
        rows[table] = _copy(session, attic, table, columns, lost)
    return rows


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    foreign: bool

    def kept(self) -> sql.Composable:
        """As it goes into the attic."""
        name = sql.Identifier(self.name)
        return sql.SQL("{0}::text AS {0}").format(name) if self.foreign else name

    def back(self) -> sql.Composable:
        """As it comes out of it; the type's name is the catalogue's own, quoted where it has to be."""
        name = sql.SQL("kept.{}").format(sql.Identifier(self.name))
        return sql.SQL("{}::{}").format(name, sql.SQL(self.type)) if self.foreign else name


def _copy(session: Connection, attic: str, table: str, columns: list[_Column], lost: list[str]) -> int:
    """Of columns that are lost only rows that say something."""
    said = [sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in lost]
    where = sql.SQL(" WHERE ") + sql.SQL(" OR ").join(said) if said else sql.SQL("")
    listed = sql.SQL(", ").join(one.kept() for one in columns)
    command = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {}{}")
    done = session.execute(command.format(sql.Identifier(attic, table), listed, _relation(table), where))
    return done.rowcount


def shelve_history(session: Connection, attic: str, history: str, version: str, facts: dict[str, Any]) -> None:
    """Keep the history's own row of the migration, and how the schema was."""
    table = sql.Identifier(attic, _HISTORY)
    command = sql.SQL("CREATE TABLE {} AS SELECT * FROM {} WHERE version = {}")
    session.execute(command.format(table, _relation(history), sql.Literal(version)))
    comment = sql.SQL("COMMENT ON SCHEMA {} IS {}")
    session.execute(comment.format(sql.Identifier(attic), sql.Literal(json.dumps({"version": version, **facts}))))


def kept(session: Connection, version: str) -> tuple[str, dict[str, Any]] | None:
    """The newest attic of a migration and what was noted with it; None where nothing was kept."""
    for name in reversed(schemas(session)):
        row = session.execute("SELECT obj_description(%s::regnamespace)", (f'"{name}"',)).fetchone()
        facts = json.loads(str(row[0])) if row and row[0] else {}
        if facts.get("version") == version:
            return name, facts
    return None


def bring_back(session: Connection, attic: str, made: Made, history: str) -> None:
    """Fill what the migration made anew with what was kept, and drop the attic.

    Rows that have come since stay: a row whose key is there already is not replaced.
    """
    for table in made.tables():
        _fill(session, attic, table)
    for table, columns in made.columns().items():
        _set(session, attic, table, columns)
    command = sql.SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING")
    session.execute(command.format(_relation(history), sql.Identifier(attic, _HISTORY)))
    session.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(attic)))


def _fill(session: Connection, attic: str, table: str) -> None:
    columns = _stored(session, table)
    names = sql.SQL(", ").join(sql.Identifier(one.name) for one in columns)
    values = sql.SQL(", ").join(one.back() for one in columns)
    command = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS kept ON CONFLICT DO NOTHING")
    session.execute(command.format(_relation(table), names, values, sql.Identifier(attic, table)))
    rows: list[Any] = session.execute(_OWNED, (table, table, table)).fetchall()
    for column, sequence in rows:
        ahead = sql.SQL("SELECT setval({}, max({})) FROM {} HAVING count(*) > 0")
        session.execute(ahead.format(sql.Literal(sequence), sql.Identifier(column), _relation(table)))


def _set(session: Connection, attic: str, table: str, lost: list[str]) -> None:
    key = _key(session, table)
    if not key:
        raise Refused(
            f"{table} has no primary key: the values in {attic} cannot be told to its rows.", "bring them back by hand"
        )
    columns = [one for one in _stored(session, table) if one.name in lost]
    values = [sql.SQL("{} = {}").format(sql.Identifier(one.name), one.back()) for one in columns]
    same = [sql.SQL("now.{0} = kept.{0}").format(sql.Identifier(name)) for name in key]
    command = sql.SQL("UPDATE {} AS now SET {} FROM {} AS kept WHERE {}")
    joined = sql.SQL(", ").join(values), sql.SQL(" AND ").join(same)
    session.execute(command.format(_relation(table), joined[0], sql.Identifier(attic, table), joined[1]))


def _relation(table: str) -> sql.Composable:
    return sql.Identifier(*table.split("."))


def _key(session: Connection, table: str) -> list[str]:
    return [str(row[0]) for row in session.execute(_KEY, (table,)).fetchall()]


def _stored(session: Connection, table: str) -> list[_Column]:
    """Columns with values of their own; generated ones make themselves."""
    rows: list[Any] = session.execute(_STORED, (table,)).fetchall()
    return [_Column(*row) for row in rows]
