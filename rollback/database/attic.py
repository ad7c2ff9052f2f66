"""The attic: what taking a migration or a schema back would lose, in a schema of its own, to be brought back again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database import contents, parents
from rollback.database.names import relation
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rollback.database.expectation import Made
    from rollback.database.server import Connection

__all__ = [
    "PREFIX", "bring_back", "drop", "fill", "keep", "kept", "noted", "own_sequences", "put",
    "schemas", "shelve_history",
]  # fmt: skip

PREFIX = "rollback_attic_"
_HISTORY = "migration_history"

_KEY = """
    SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = %s::regclass ORDER BY a.attname"""
#: Types that are not the server's own are kept as text: the migration may have made the type, and it goes as well.
_STORED = """
    SELECT attname::text, format_type(atttypid, atttypmod), atttypid >= 16384 FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attname"""


def schemas(session: Connection) -> list[str]:
    """All attics of the database, oldest first; they are no part of any fingerprint."""
    rows = session.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY oid", (PREFIX,))
    return [str(row[0]) for row in rows.fetchall()]


def keep(
    session: Connection, attic: str, tables: Iterable[str], columns: Mapping[str, Collection[str]]
) -> dict[str, int]:
    """Copy what will be lost; rows kept by table.

    A copy and no move: the statements that take back find everything where they expect it.

    Args:
        session: within the transaction that loses it.
        attic: the schema that is made for it.
        tables: whose rows go, qualified, quoted where they have to be.
        columns: whose values go, plain, by table.

    Raises:
        Refused: a table that loses a column has no primary key: its values could not be told to rows again.
    """
    session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(attic)))
    rows = {table: _copy(session, attic, table, _stored(session, table)) for table in tables}
    for table, lost in columns.items():
        key = _key(session, table)
        if not key:
            raise Refused(
                f"{table} has no primary key, and {', '.join(lost)} would go from it: the values could not be"
                " brought back to their rows.",
                "give it a key, or restore the database",
            )
        kept_columns = [one for one in _stored(session, table) if one.name in {*key, *lost}]
        rows[table] = _copy(session, attic, table, kept_columns)
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
        return sql.SQL("kept.{}::{}").format(sql.Identifier(self.name), sql.SQL(self.type))


def _copy(session: Connection, attic: str, table: str, columns: list[_Column]) -> int:
    """Every row, whatever it says: that a value was empty is a value too."""
    listed = sql.SQL(", ").join(one.kept() for one in columns)
    command = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {}")
    return session.execute(command.format(sql.Identifier(attic, table), listed, relation(table))).rowcount


def shelve_history(session: Connection, attic: str, history: str, version: str, facts: dict[str, Any]) -> None:
    """Keep the history's own row of the migration, and how the schema and the sequences were."""
    table = sql.Identifier(attic, _HISTORY)
    command = sql.SQL("CREATE TABLE {} AS SELECT * FROM {} WHERE version = {}")
    session.execute(command.format(table, relation(history), sql.Literal(version)))
    comment = sql.SQL("COMMENT ON SCHEMA {} IS {}")
    session.execute(comment.format(sql.Identifier(attic), sql.Literal(json.dumps({"version": version, **facts}))))


def kept(session: Connection, version: str) -> tuple[str, dict[str, Any]] | None:
    """The newest attic of a migration and what was noted with it; None where nothing was kept."""
    for name in reversed(schemas(session)):
        facts = noted(session, name)
        if facts.get("version") == version:
            return name, facts
    return None


def noted(session: Connection, attic: str) -> dict[str, Any]:
    """What was noted with an attic; others of ours note nothing, or something else."""
    row = session.execute("SELECT obj_description(%s::regnamespace)", (f'"{attic}"',)).fetchone()
    said = str(row[0]) if row and row[0] else ""
    facts: dict[str, Any] = json.loads(said) if said.startswith("{") else {}
    return facts


def bring_back(session: Connection, attic: str, made: Made, history: str, sequences: dict[str, int | None]) -> None:
    """Fill what the migration made anew with exactly what was kept.

    What the migration itself put into its own tables gives way: the attic knows what users made of it since. Triggers
    rest meanwhile: nothing of this is a user's doing. Rows that would have gone with a parent that users have deleted
    since (ON DELETE CASCADE) do not come back.

    Raises:
        Refused: what is there afterwards is not what was kept, or refers to rows that are gone.
    """
    session.execute("SET LOCAL session_replication_role = replica")
    for table in made.tables():
        fill(session, attic, table)
    for table, lost in made.columns().items():
        put(session, attic, table, lost, _key(session, table))
    parents.gone_with_their_parents(session, made.tables())
    parents.refuse_orphans(session, [*made.tables(), *made.columns()])
    for name, value in sequences.items():
        if value is not None:
            session.execute("SELECT setval(%s::regclass, %s)", (name, value))
    command = sql.SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING")
    session.execute(command.format(relation(history), sql.Identifier(attic, _HISTORY)))
    session.execute("SET LOCAL session_replication_role = origin")


def drop(session: Connection, attic: str) -> None:
    """What was brought back need not be kept."""
    session.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(attic)))


def fill(session: Connection, attic: str, table: str) -> None:
    """Give a table exactly the rows that are kept of it.

    Raises:
        Refused: what is there afterwards is not what was kept.
    """
    session.execute(sql.SQL("DELETE FROM {}").format(relation(table)))
    columns = _stored(session, table)
    names = sql.SQL(", ").join(sql.Identifier(one.name) for one in columns)
    values = sql.SQL(", ").join(one.back() for one in columns)
    command = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS kept")
    session.execute(command.format(relation(table), names, values, sql.Identifier(attic, table)))
    _same(session, attic, table, columns, where=None)


def put(session: Connection, attic: str, table: str, lost: Collection[str], key: Collection[str]) -> None:
    """Give the rows of a table the values that are kept of them; rows that have come since keep what they have.

    Raises:
        Refused: what is there afterwards is not what was kept.
    """
    stored = _stored(session, table)
    columns = [one for one in stored if one.name in lost]
    values = [sql.SQL("{} = {}").format(sql.Identifier(one.name), one.back()) for one in columns]
    same = sql.SQL(" AND ").join(
        sql.SQL("now.{} = {}").format(sql.Identifier(one.name), one.back()) for one in stored if one.name in key
    )
    command = sql.SQL("UPDATE {} AS now SET {} FROM {} AS kept WHERE {}")
    joined = sql.SQL(", ").join(values)
    session.execute(command.format(relation(table), joined, sql.Identifier(attic, table), same))
    _same(session, attic, table, [one for one in stored if one.name in {*key, *lost}], where=same)


def _same(session: Connection, attic: str, table: str, columns: list[_Column], *, where: sql.Composable | None) -> None:
    """Every kept row that still has its row is there as it was kept.

    Raises:
        Refused: one is not.
    """
    now = sql.SQL(", ").join(sql.SQL("now.{}::text").format(sql.Identifier(one.name)) for one in columns)
    then = sql.SQL(", ").join(sql.SQL("kept.{}::text").format(sql.Identifier(one.name)) for one in columns)
    ours, theirs = relation(table), sql.Identifier(attic, table)
    if where is None:
        missing = sql.SQL("SELECT count(*) FROM (SELECT {} FROM {} now EXCEPT ALL SELECT {} FROM {} kept) one")
        strange = sql.SQL("SELECT count(*) FROM (SELECT {} FROM {} kept EXCEPT ALL SELECT {} FROM {} now) one")
        asked = [missing.format(now, ours, then, theirs), strange.format(then, theirs, now, ours)]
    else:
        differing = sql.SQL("SELECT count(*) FROM {} now JOIN {} kept ON {} WHERE ROW({}) IS DISTINCT FROM ROW({})")
        asked = [differing.format(ours, theirs, where, now, then)]
    wrong = sum(int(str((session.execute(one).fetchone() or (0,))[0])) for one in asked)
    if wrong:
        raise Refused(f"{wrong} rows of {table} would not come back as they were kept.", "the attic stays as it is")


def _key(session: Connection, table: str) -> list[str]:
    return [str(row[0]) for row in session.execute(_KEY, (table,)).fetchall()]


def _stored(session: Connection, table: str) -> list[_Column]:
    """Columns with values of their own; generated ones make themselves."""
    rows: list[Any] = session.execute(_STORED, (table,)).fetchall()
    return [_Column(*row) for row in rows]


def own_sequences(session: Connection, made: Made) -> dict[str, int | None]:
    """Where the sequences of the migration stand: their numbers are not given out twice."""
    new = {one.name.removeprefix("sequence ") for one in made.differences if one.name.startswith("sequence ")}
    return {name: value for name, value in contents.sequences(session).items() if name in new}
