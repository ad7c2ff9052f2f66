"""A migration is taken back with proof or not at all, on a real PostgreSQL and without a deployment."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from drills.database.diary import BAD, DIARY, MOTHER, OTHERS, then
from drills.database.servers import until
from rollback.database import attic, fingerprint
from rollback.database.contents import contents
from rollback.database.expectation import Made, Migration, made_by
from rollback.database.migrations.find import find
from rollback.database.script import runnable
from rollback.database.takeback import TakeBack
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


REFERENCE = Path(__file__).parents[2] / "fixtures/spheroseg"
#: A try holds its locks for less than a second on a quiet machine; this one may be busy. Less than all tries together.
LONGEST_WAIT_SECONDS = 6.0
HISTORY = "public.schema_migrations"


@pytest.fixture(scope="module")
def made(server: Server) -> Made:
    """What the migration of these tests makes."""
    return made_by(server, [MOTHER, DIARY], {"002"}, ())["002"]


@pytest.fixture
def session(server: Server) -> Iterator[Connection]:
    """A database in which the migration was applied and people have worked since."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS live WITH (FORCE)")
        admin.execute("CREATE DATABASE live")
    with server.connect("live", autocommit=True) as one:
        one.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY, at timestamptz DEFAULT now())")
        for migration in (MOTHER, DIARY):
            one.execute(migration.up.encode())
            one.execute("INSERT INTO schema_migrations VALUES (%s)", (migration.version,))
        one.execute("INSERT INTO diary (mother_id, mood) SELECT n, 'sad' FROM generate_series(1, 7) n")
        one.execute("UPDATE mother SET seen = '2026-01-01' WHERE id < 4")
        one.execute("INSERT INTO mother VALUES (99, 'since then')")
        # drift: nobody's migration made it, and it is nobody's business
        one.execute("CREATE INDEX of_the_administrator ON mother (name)")
        one.execute("CREATE TABLE elsewhere (id int PRIMARY KEY); INSERT INTO elsewhere VALUES (1)")
        one.execute("CREATE SEQUENCE numbers; SELECT nextval('numbers') FROM generate_series(1, 9)")
        yield one


def world(session: Connection) -> tuple[dict[str, str], Any]:
    """Schema and contents, attics and all."""
    return fingerprint.logical(session).objects, contents(session)


def work(session: Connection, **more: Any) -> TakeBack:
    """Work on this database."""
    return TakeBack(session, HISTORY, "run1", **more)


def test_a_migration_is_taken_back_and_brought_forward_again(session: Connection, made: Made) -> None:
    """Back: exactly what it made is gone, drift and rows stay, what is lost is in the attic. Forward: as it was."""
    before = world(session)
    assert work(session).back(DIARY, made) == {"public.diary": 7, "public.mother": 51}
    objects, rows = world(session)
    attics = attic.schemas(session)
    assert attics == ["rollback_attic_002_run1"]
    assert not [name for name in objects if "diary" in name and attics[0] not in name]
    assert "index public.mother.of_the_administrator" in objects
    assert (rows["public.mother"].count, rows["public.child"].count) == (51, 50)
    assert session.execute("SELECT version FROM schema_migrations").fetchall() == [("001",)]
    work(session).forward(DIARY, made)
    assert world(session) == before
    row = session.execute("INSERT INTO diary (mother_id) VALUES (1) RETURNING id").fetchone()
    assert row
    assert row[0] == 8


def test_a_run_knows_what_it_has_taken_back_itself(session: Connection, made: Made) -> None:
    """What somebody else's run took back is not this one's to bring back."""
    work(session).back(DIARY, made)
    assert work(session).has_taken_back(DIARY)
    assert work(session).kept() == {"public.diary": 7, "public.mother": 51}
    assert not replace(work(session), run="run2").has_taken_back(DIARY)
    assert replace(work(session), run="run2").kept() == {}


def test_rows_written_since_are_kept_when_it_is_brought_forward(session: Connection, made: Made) -> None:
    """Work goes on in between: nothing of it is overwritten."""
    work(session).back(DIARY, made)
    session.execute("INSERT INTO mother VALUES (100, 'in between')")
    session.execute("DELETE FROM mother WHERE id = 50")
    work(session).forward(DIARY, made)
    row = session.execute("SELECT count(*), count(seen) FROM mother").fetchone()
    assert row == (51, 3)


def test_what_users_made_of_it_comes_back_and_not_what_the_migration_seeds(server: Server) -> None:
    """Edited and deleted seeds, an emptied default, foreign keys against the order of names, numbers, a trigger."""
    made = made_by(server, [MOTHER, OTHERS], {"002"}, ())["002"]
    with server.connect("expectation", autocommit=True) as session:
        session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        session.execute("INSERT INTO schema_migrations VALUES ('001'), ('002')")
        session.execute("ALTER TABLE mother ADD COLUMN changed timestamptz DEFAULT '2026-01-01'")
        session.execute(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed = now(); RETURN NEW; END'"
        )
        session.execute("UPDATE z_parent SET mood = 'as users want it' WHERE id = 1; DELETE FROM z_parent WHERE id = 2")
        session.execute("INSERT INTO a_child (z_id) VALUES (1), (1), (1); DELETE FROM a_child WHERE id > 1")
        session.execute("UPDATE mother SET quota = NULL WHERE id = 1; UPDATE mother SET quota = 500 WHERE id = 2")
        session.execute("CREATE TRIGGER touch BEFORE UPDATE ON mother FOR EACH ROW EXECUTE FUNCTION touch()")
        before = world(session)
        work(session).back(OTHERS, made)
        work(session).forward(OTHERS, made)
        assert world(session) == before
        row = session.execute("INSERT INTO a_child (z_id) VALUES (1) RETURNING id").fetchone()
        assert row == (4,)


def test_a_migration_that_ends_the_transaction_is_noticed(session: Connection, made: Made) -> None:
    """What a script has committed itself is said, and no proof is claimed for it."""
    with pytest.raises(Failed, match="ended the transaction of the proof"):
        work(session).back(replace(DIARY, down=then("COMMIT;")), made)


def test_a_column_of_a_table_without_a_key_is_refused_before_it_is_lost(server: Server) -> None:
    """Its values could not be told to rows again."""
    up = Migration("002", "002_x.sql", "ALTER TABLE keyless ADD COLUMN x int", "ALTER TABLE keyless DROP COLUMN x")
    first = Migration("001", "001_x.sql", "CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1)")
    made = made_by(server, [first, up], {"002"}, ())["002"]
    with server.connect("expectation", autocommit=True) as session:
        session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        session.execute("INSERT INTO schema_migrations VALUES ('001'), ('002')")
        before = world(session)
        with pytest.raises(Refused, match="has no primary key"):
            work(session).back(up, made)
        assert world(session) == before


@pytest.mark.parametrize(("script", "said"), BAD.values(), ids=BAD)
def test_a_script_that_does_something_else_is_refused(session: Connection, made: Made, script: str, said: str) -> None:
    """Residue, loss, drift taken along, another order of things: the difference is shown and nothing has changed."""
    before = world(session)
    with pytest.raises(Refused) as caught:
        work(session).back(replace(DIARY, down=script), made)
    assert any(one in caught.value.found for one in said.split("|")), caught.value.found
    assert world(session) == before


def test_behind_a_long_reader_it_gives_up_and_users_wait_for_a_moment_only(
    server: Server, session: Connection, made: Made
) -> None:
    """Each try lets go soon: others read and write meanwhile; in the end it is a refusal and nothing has changed."""
    before, stop, waits = world(session), threading.Event(), list[float]()

    def use() -> None:
        with server.connect("live", autocommit=True) as user:
            while not stop.is_set():
                began = time.monotonic()
                # each by itself: who holds a read and writes while somebody waits for readers may be the one to give up
                user.execute("SELECT count(*) FROM mother")
                user.execute("UPDATE mother SET name = name WHERE id = 1")
                waits.append(time.monotonic() - began)

    other = threading.Thread(target=use)
    with server.connect("live") as reader:
        reader.execute("SELECT * FROM mother")
        pid = reader.info.backend_pid
        other.start()
        try:
            with pytest.raises(Refused, match="could not be locked within 10 s") as caught:
                work(session, lock_seconds=10.0).back(DIARY, made)
        finally:
            stop.set()
            other.join()
    assert world(session) == before
    assert f"pid {pid} (rollback, " in caught.value.found
    assert "has held mother (AccessShareLock) for 1" in caught.value.found
    assert f"SELECT pg_terminate_backend({pid});" in caught.value.next_step
    assert len(waits) > 5
    assert max(waits) < LONGEST_WAIT_SECONDS


def test_a_user_who_has_read_and_waits_to_write_is_not_the_one_to_give_up(
    server: Server, session: Connection, made: Made
) -> None:
    """He holds what the script wants, and waits for what it holds: it tries again, and he never hears of it."""
    locked = "SELECT FROM pg_locks WHERE relation = 'mother'::regclass AND mode = 'ShareRowExclusiveLock' AND granted"
    reads, ends = threading.Event(), list[str]()

    def use() -> None:
        with server.connect("live") as user, server.connect("live", autocommit=True) as watch:
            user.execute("SELECT count(*) FROM child")
            reads.set()
            until(lambda: watch.execute(locked).fetchone() is not None)
            try:
                user.execute("UPDATE mother SET name = 'written meanwhile' WHERE id = 1")
            except psycopg.Error as error:
                ends.append(str(error))
            else:
                ends.append("well")

    other = threading.Thread(target=use)
    other.start()
    reads.wait()
    # PostgreSQL looks whether anybody waits in a circle when the user has waited for a second
    work(session).back(replace(DIARY, down=f"SELECT pg_sleep(0.7); {DIARY.down}"), made)
    other.join()
    assert ends == ["well"]
    assert session.execute("SELECT name FROM mother WHERE id = 1").fetchall() == [("written meanwhile",)]
    assert session.execute("SELECT version FROM schema_migrations").fetchall() == [("001",)]


def test_a_reader_that_ends_is_waited_for(server: Server, session: Connection, made: Made) -> None:
    """A transaction of some seconds is no reason to fail."""
    reader = server.connect("live")
    reader.execute("SELECT * FROM mother")
    timer = threading.Timer(2.5, reader.close)
    timer.start()
    try:
        work(session).back(DIARY, made)
    finally:
        timer.join()
    assert session.execute("SELECT version FROM schema_migrations").fetchall() == [("001",)]


def test_writers_of_other_tables_go_on_meanwhile(server: Server, session: Connection, made: Made) -> None:
    """A row that somebody commits while the proof is computed is no false alarm, and it is not lost."""
    session.execute("CREATE TABLE busy (id serial PRIMARY KEY)")
    stop = threading.Event()
    written = []

    def write() -> None:
        with server.connect("live", autocommit=True) as user:
            while not stop.is_set():
                user.execute("INSERT INTO busy DEFAULT VALUES")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: bool(written))
        before = len(written)
        work(session).back(DIARY, made)
        meanwhile = len(written) - before
    finally:
        stop.set()
        writer.join()
    row = session.execute("SELECT count(*) FROM busy").fetchone()
    assert row
    assert meanwhile > 0
    assert row[0] == len(written)


def test_the_reference_migrations_are_taken_back_in_the_order_of_the_runbook(server: Server) -> None:
    """012, 011, 010 with the team's own scripts, and forward again to exactly what was there."""
    found = find(REFERENCE / "packages/backend/migrations", REFERENCE / "scripts/rollback").migrations
    known = [
        Migration(
            one.path.name[:3],
            one.path.name,
            one.path.read_text(),
            runnable(one.path, one.rollback) if one.rollback else "",
        )
        for one in found
    ]
    made = made_by(server, known, {"010", "011", "012"}, ())
    with server.connect("expectation", autocommit=True) as session:
        session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        for one in known:
            session.execute("INSERT INTO schema_migrations VALUES (%s)", (one.version,))
        before = world(session)
        for one in reversed(known[-3:]):
            work(session).back(one, made[one.version])
        assert len(attic.schemas(session)) == 3
        for one in known[-3:]:
            work(session).forward(one, made[one.version])
        assert world(session) == before
