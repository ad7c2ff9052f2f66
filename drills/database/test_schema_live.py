"""A schema is brought back with its rows or not at all, on a real PostgreSQL and without a deployment."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from drills.database.damaged_schemas import DAMAGE, IMPOSSIBLE, ROWS, SCHEMA, UNDONE
from drills.database.servers import IMAGE
from rollback.database import attic
from rollback.database.contents import contents
from rollback.database.schema import dump
from rollback.database.schema.live import Live, Order
from rollback.database.schema.recorded import history_rows, taken
from rollback.database.schema.rehearsal import cleared, found_by, of_its_own, schema_of
from rollback.database.schema.values import Values
from rollback.database.scratch import scratch
from rollback.engine import Engine
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.schema.change import Change
    from rollback.database.schema.recorded import Recorded
    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


ENOUGH = 5
HISTORY = "public.schema_migrations"
SEED, LIVE, THEN = "seed", "spheroseg", "spheroseg_then"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scratch server with a database from which those of the tests are copied."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        _anew(one, SEED, "template0")
        with one.connect(SEED, autocommit=True) as session:
            session.execute((SCHEMA + ROWS).encode())
        yield one


def _anew(server: Server, name: str, template: str) -> None:
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())


@dataclass(frozen=True)
class World:
    """The live database, and the database as it was recorded: what a backup would be restored to."""

    server: Server
    live: Connection
    then: Connection

    def found(self) -> Change:
        """The way back."""
        change = found_by(self.server, dump.text(self.server, LIVE), schema_of(self.live), THEN)
        return change.after(cleared(self.live))

    def order(self, change: Change, *, rows: bool = True) -> Order:
        """What is to be done; with what comes back laid beside."""
        values = Values(self.live, f"{attic.PREFIX}values_r1")
        if rows:
            values.lay(self.then, change.new_tables, change.new_columns)
        before, after = schema_of(self.live).digest, schema_of(self.then).digest
        return Order(change, before, after, dict(history_rows(self.then, HISTORY)), values.schema if rows else "")

    def bring_back(self, *, rows: bool = True, lock_seconds: float = 20.0) -> Change:
        """All of it."""
        change = self.found()
        Live(self.live, HISTORY, "r1", lock_seconds).act(self.order(change, rows=rows))
        return change

    def rows(self, session: Connection) -> dict[str, Any]:
        """Every table, without what the rollback has left."""
        return {name: one for name, one in contents(session).items() if not name.startswith(attic.PREFIX)}


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    """Both, equal."""
    _anew(server, LIVE, SEED)
    _anew(server, THEN, SEED)
    with server.connect(LIVE, autocommit=True) as live, server.connect(THEN, autocommit=True) as then:
        yield World(server, live, then)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_the_schema_and_what_was_lost_with_it_come_back(world: World, damage: str) -> None:
    """Afterwards schema, rows and history are those of the backup, and a second run finds nothing to do."""
    sequences = numbers(world.then)
    world.live.execute(damage.encode())
    world.bring_back()
    assert schema_of(world.live) == schema_of(world.then)
    assert world.rows(world.live) == world.rows(world.then)
    assert {name: one for name, one in numbers(world.live).items() if one < sequences[name]} == {}
    again = world.found()
    assert [*again.first, *again.last] == []


def numbers(session: Connection) -> dict[str, int]:
    """Where the sequences stand."""
    rows: list[Any] = session.execute("SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences").fetchall()
    return dict(rows)


@pytest.mark.parametrize("damage", UNDONE)
def test_undone_it_is_as_it_was_before(world: World, damage: str) -> None:
    """What was brought back is taken back with the values that the attic has kept."""
    world.live.execute(DAMAGE[damage].encode())
    recorded = taken(world.server, LIVE, HISTORY)
    rows = world.rows(world.live)
    world.bring_back()
    with of_its_own(world.server, "before", recorded.dump) as copy:
        now = dump.text(world.server, LIVE)
        change = found_by(world.server, now, schema_of(world.live), "before")
        live = Live(world.live, HISTORY, "r1")
        live.undo(Order(change, schema_of(world.live).digest, schema_of(copy).digest, recorded.history, live.attic))
    assert schema_of(world.live).digest == recorded.digest
    assert world.rows(world.live) == rows
    assert live.kept() is None


def test_values_that_do_not_fit_are_kept_and_come_back(world: World) -> None:
    """A narrowed type shortens; what is lost by it is counted, kept with its key, and put back by the undo."""
    world.live.execute(
        'ALTER TABLE "Mütter. x" ALTER code TYPE text; UPDATE "Mütter. x" SET code = \'longer than\' WHERE id < 4'
    )
    before = world.rows(world.live)
    recorded = taken(world.server, LIVE, HISTORY)
    world.bring_back()
    row = world.live.execute("SELECT count(*) FROM \"Mütter. x\" WHERE code = 'longe'").fetchone()
    assert row == (3,)
    undone(world, recorded)
    assert world.rows(world.live) == before


def undone(world: World, recorded: Recorded) -> Live:
    """Take back what was brought back, as it was before."""
    with of_its_own(world.server, "before", recorded.dump):
        change = found_by(world.server, dump.text(world.server, LIVE), schema_of(world.live), "before")
        live = Live(world.live, HISTORY, "r1")
        live.undo(Order(change, schema_of(world.live).digest, recorded.digest, recorded.history, live.attic))
    return live


def test_what_was_made_again_since_is_not_taken_for_what_the_attic_keeps(world: World) -> None:
    """A dropped table or column that somebody has made anew, empty: the attic is the last copy, and stays."""
    world.live.execute("CREATE TABLE added (id int PRIMARY KEY); INSERT INTO added VALUES (1), (2)")
    world.live.execute("ALTER TABLE child ADD COLUMN more int NOT NULL DEFAULT 4; UPDATE child SET more = 5")
    recorded, before = taken(world.server, LIVE, HISTORY), world.rows(world.live)
    world.bring_back()
    kept = (Live(world.live, HISTORY, "r1").kept() or {})["rows"]
    assert kept["public.added"] == 2
    assert kept["public.child"] > 0
    for made in ("CREATE TABLE added (id int PRIMARY KEY)", "ALTER TABLE child ADD COLUMN more int NOT NULL DEFAULT 4"):
        world.live.execute(made.encode())
        with pytest.raises(Refused, match="was made again since"):
            undone(world, recorded)
        table = made.split()[2]
        world.live.execute(b"DROP TABLE added" if table == "added" else b"ALTER TABLE child DROP COLUMN more")
    assert undone(world, recorded).kept() is None
    assert world.rows(world.live) == before


def test_what_users_wrote_into_a_wider_type_is_kept_when_it_gets_narrow_again(world: World) -> None:
    """Nothing is cut without a copy, in neither direction."""
    world.live.execute('ALTER TABLE "Mütter. x" ALTER code TYPE varchar(3)')
    recorded = taken(world.server, LIVE, HISTORY)
    world.bring_back()
    world.live.execute("UPDATE \"Mütter. x\" SET code = 'abcde' WHERE id = 7")
    live = undone(world, recorded)
    cut = world.live.execute('SELECT code FROM "Mütter. x" WHERE id = 7').fetchone()
    row: Any = world.live.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
        (f"{live.attic}_undone",),
    ).fetchone()
    asked = sql.SQL("SELECT code FROM {} WHERE id = 7").format(sql.Identifier(f"{live.attic}_undone", row[0]))
    assert (cut, world.live.execute(asked).fetchone()) == (("abc",), ("abcde",))


def test_rows_that_are_newer_than_the_backup_stay(world: World) -> None:
    """They keep all they have; in a column that came back they have its default, or nothing."""
    world.live.execute("ALTER TABLE shares DROP COLUMN role, DROP COLUMN at")
    world.live.execute("INSERT INTO shares (mother, child) VALUES (30, 30)")
    world.live.execute("DELETE FROM shares WHERE child = 3; INSERT INTO log (what) VALUES ('{}')")
    world.bring_back()
    rows = world.live.execute("SELECT role, at FROM shares WHERE child = 30").fetchall()
    assert rows == [("viewer", None)]
    row = world.live.execute("SELECT count(*), count(*) FILTER (WHERE role = 'editor') FROM shares").fetchone()
    assert row == (20, 19)


def test_numbers_that_count_down_go_on(world: World) -> None:
    """A table whose numbers go down comes back, and none of them is given out twice."""
    for session in (world.live, world.then):
        session.execute("CREATE TABLE down (id int GENERATED ALWAYS AS IDENTITY (INCREMENT BY -2) PRIMARY KEY, n int)")
        session.execute("INSERT INTO down (n) SELECT generate_series(1, 5)")
    world.live.execute("DROP TABLE down")
    world.bring_back()
    row = world.live.execute("INSERT INTO down (n) VALUES (6) RETURNING id").fetchone()
    assert row == (-11,)


def test_rows_whose_parents_are_gone_stay_out(world: World) -> None:
    """A table that comes back has lost what its users would have deleted with the parents; its numbers go on."""
    world.live.execute('DROP TABLE shares; DELETE FROM "Mütter. x" WHERE id IN (3, 4)')
    world.bring_back()
    row = world.live.execute("SELECT count(*) FROM shares").fetchone()
    assert row == (18,)


def test_a_release_brings_tables_back_empty_and_columns_with_their_defaults(world: World) -> None:
    """No row of it was recorded."""
    world.live.execute("DROP TABLE shares; ALTER TABLE child DROP COLUMN text; ALTER TABLE log DROP COLUMN what")
    world.bring_back(rows=False)
    assert schema_of(world.live) == schema_of(world.then)
    row = world.live.execute("SELECT (SELECT count(*) FROM shares), count(*), count(text) FROM child").fetchone()
    assert row == (0, 40, 0)


@pytest.mark.parametrize(("damage", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_done_leaves_everything_as_it_was(world: World, damage: str, said: str) -> None:
    """One statement or one proof that fails: nothing is committed, and it is told which."""
    world.live.execute(damage.encode())
    before = schema_of(world.live), world.rows(world.live), numbers(world.live)
    with pytest.raises(Refused) as caught:
        world.bring_back()
    assert said in caught.value.found
    assert (schema_of(world.live), world.rows(world.live), numbers(world.live)) == before


def test_a_schema_that_changed_after_the_plan_is_refused(world: World) -> None:
    """The statements were found for another one."""
    world.live.execute("DROP INDEX child_text")
    order = world.order(world.found())
    world.live.execute("CREATE TABLE late (a int)")
    with pytest.raises(Refused, match="not that of the plan"):
        Live(world.live, HISTORY, "r1").act(order)


def test_an_index_that_was_never_finished_goes(world: World) -> None:
    """CREATE INDEX CONCURRENTLY was cut off: no dump holds what it leaves."""
    world.live.execute("UPDATE child SET text = 'same'")
    with pytest.raises(Exception, match="could not create unique index"):
        world.live.execute("CREATE UNIQUE INDEX CONCURRENTLY half ON child (text)")
    assert cleared(world.live) == ["DROP INDEX public.half;"]
    world.bring_back()
    assert schema_of(world.live) == schema_of(world.then)
    assert cleared(world.live) == []


def test_the_lost_is_in_the_attic(world: World) -> None:
    """Rows of tables, values of columns with their keys, and the history of the migrations that went."""
    world.live.execute("CREATE TABLE added (id int PRIMARY KEY, a text); INSERT INTO added VALUES (1, 'x'), (2, 'ü')")
    world.live.execute("ALTER TABLE child ADD COLUMN more text; UPDATE child SET more = 'm' || id")
    world.live.execute("INSERT INTO schema_migrations VALUES ('003')")
    world.bring_back()
    live = Live(world.live, HISTORY, "r1")
    kept = {
        name.partition(".")[2]: one.count for name, one in contents(world.live).items() if name.startswith(live.attic)
    }
    assert kept == {"public.added": 2, "public.child": 40, "migration_history": 1}
    assert attic.schemas(world.live) == [live.attic]


def test_writers_of_other_tables_go_on_and_nobody_loses_a_row(world: World) -> None:
    """Rows that are committed while the proof is computed are there afterwards, in touched tables as well."""
    world.live.execute("ALTER TABLE child DROP COLUMN text; DROP TABLE shares")
    order, stop, written = world.order(world.found()), threading.Event(), list[int]()
    enough = threading.Event()

    def write() -> None:
        with world.server.connect(LIVE, autocommit=True) as user:
            while not stop.is_set():
                user.execute("INSERT INTO log (what) VALUES ('{}')")
                user.execute("INSERT INTO child (mother, n) VALUES (1, 1)")
                written.append(1)
                if len(written) == ENOUGH:
                    enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert enough.wait(30)
        Live(world.live, HISTORY, "r1").act(order)
    finally:
        stop.set()
        writer.join()
    row = world.live.execute("SELECT (SELECT count(*) FROM log), count(*), count(text) FROM child").fetchone()
    assert row == (10 + len(written), 40 + len(written), 40)
    assert len(written) >= ENOUGH


def test_behind_a_long_reader_it_gives_up(world: World) -> None:
    """It is refused, and all is as it was."""
    world.live.execute("ALTER TABLE child DROP COLUMN text")
    before = schema_of(world.live), world.rows(world.live)
    with world.server.connect(LIVE) as reader:
        reader.execute("SELECT * FROM child")
        with pytest.raises(Refused, match="could not be locked within 3 s"):
            world.bring_back(lock_seconds=3.0)
    assert (schema_of(world.live), world.rows(world.live)) == before


def test_what_is_recorded_is_read_back(world: World) -> None:
    """As text in a file: dump, fingerprint, history and roles."""
    found = taken(world.server, LIVE, HISTORY)
    assert json.loads(found.as_text())["digest"] == schema_of(world.live).digest == found.digest
    assert found.head == "002"
    assert "app" in found.roles
    with of_its_own(world.server, "copy", found.dump) as copy:
        assert schema_of(copy) == schema_of(world.live)
