"""A migration is brought forward after users have deleted what its rows refer to: nobody's foreign key is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.database.contents import contents
from rollback.database.expectation import Made, Migration, made_by
from rollback.database.takeback import TakeBack
from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

FIRST = Migration(
    "001",
    "001_first.sql",
    """
    CREATE TABLE city (land int, id int, PRIMARY KEY (land, id));
    CREATE TABLE mother (id int PRIMARY KEY);
    INSERT INTO city SELECT 1, n FROM generate_series(1, 5) n;
    INSERT INTO mother SELECT n FROM generate_series(1, 5) n;
    """,
)
CASCADING = Migration(
    "002",
    "002_cascading.sql",
    """
    CREATE TABLE album (id int PRIMARY KEY, mother_id int NOT NULL REFERENCES mother (id) ON DELETE CASCADE);
    CREATE TABLE a_picture (id int PRIMARY KEY, album_id int REFERENCES album (id) ON DELETE CASCADE);
    """,
    "DROP TABLE a_picture; DROP TABLE album;",
)
KEEPING = Migration(
    "002",
    "002_keeping.sql",
    "CREATE TABLE diary (id int PRIMARY KEY, land int, city int, FOREIGN KEY (land, city) REFERENCES city (land, id));",
    "DROP TABLE diary;",
)
ADDING = Migration(
    "002",
    "002_adding.sql",
    "ALTER TABLE mother ADD COLUMN land int, ADD COLUMN city int;"
    " ALTER TABLE mother ADD CONSTRAINT lives FOREIGN KEY (land, city) REFERENCES city (land, id);",
    "ALTER TABLE mother DROP CONSTRAINT lives; ALTER TABLE mother DROP COLUMN land, DROP COLUMN city;",
)


def taken_back(server: Server, migration: Migration, used: str) -> tuple[Connection, TakeBack, Made]:
    """A database in which it was applied, used, and taken back."""
    made = made_by(server, [FIRST, migration], {"002"}, ())["002"]
    session = server.connect("expectation", autocommit=True)
    session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
    session.execute("INSERT INTO schema_migrations VALUES ('001'), ('002')")
    session.execute(used.encode())
    work = TakeBack(session, "public.schema_migrations", "run1")
    work.back(migration, made)
    return session, work, made


def ids(session: Connection, table: str) -> list[int]:
    """What is there, in order."""
    return [int(str(one)) for (one,) in session.execute(f"SELECT id FROM {table} ORDER BY id".encode()).fetchall()]  # noqa: S608 -- our own table


def test_rows_that_would_have_gone_with_their_parents_stay_away(server: Server) -> None:
    """What a user deleted in between is deleted with all that hung on it, as if the migration had been there."""
    used = """
        INSERT INTO album SELECT n, n FROM generate_series(1, 5) n;
        INSERT INTO a_picture SELECT n, n FROM generate_series(1, 5) n;
        INSERT INTO a_picture VALUES (6);"""
    session, work, made = taken_back(server, CASCADING, used)
    assert made.parents() == ["public.mother"]
    with session:
        session.execute("DELETE FROM mother WHERE id = 3")
        work.forward(CASCADING, made)
        assert ids(session, "album") == [1, 2, 4, 5]
        assert ids(session, "a_picture") == [1, 2, 4, 5, 6]


@pytest.mark.parametrize(
    ("migration", "used", "table"),
    [
        (KEEPING, "INSERT INTO diary VALUES (1, 1, 3), (2, 1, 4), (3, 1, NULL)", "public.diary"),
        (ADDING, "UPDATE mother SET land = 1, city = id WHERE id IN (3, 4)", "public.mother"),
    ],
    ids=["a table", "columns"],
)
def test_rows_without_their_parents_are_refused(server: Server, migration: Migration, used: str, table: str) -> None:
    """Where the key does not say what becomes of them it is for people to decide; nothing has changed meanwhile."""
    session, work, made = taken_back(server, migration, used)
    with session:
        session.execute("DELETE FROM city WHERE id = 3")
        before = contents(session)
        with pytest.raises(Refused, match=f"1 rows of {table} would refer to rows of public.city that are gone"):
            work.forward(migration, made)
        assert contents(session) == before
        session.execute("INSERT INTO city VALUES (1, 3)")
        work.forward(migration, made)
