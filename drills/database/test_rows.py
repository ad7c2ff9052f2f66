"""Rows are repaired in place from a backup: those and no others, with proof before the commit, and back again."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drills.database.servers import IMAGE
from rollback.database.contents import contents
from rollback.database.rows.comparison import Comparison, Found, Wanted
from rollback.database.rows.condition import EVERYTHING, condition
from rollback.database.rows.repair import REPAIRED, STAGED, Repair
from rollback.database.rows.staged import Staged
from rollback.database.scratch import scratch
from rollback.engine import Engine
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"
SEED, LIVE, THEN = "seed", "spheroseg", "spheroseg_then"
PEOPLE = """
    INSERT INTO users (id, email, name, password_hash)
    SELECT gen_random_uuid(), n || '@x.invalid', 'Müller ' || n, 'x' FROM generate_series(1, 20) n;
    INSERT INTO projects (user_id, name) SELECT id, 'p ' || email FROM users;
    INSERT INTO images (id, project_id, name, storage_name, media_type, sha256, size_bytes, width, height)
    SELECT gen_random_uuid(), p.id, 'i ' || n, n || p.id::text, 'image/png', 'x', 4, n, 10
    FROM projects p, generate_series(1, 3) n;
    INSERT INTO segmentations (id, image_id, model_version) SELECT gen_random_uuid(), id, 'm"1' FROM images;
    INSERT INTO segmentation_results (segmentation_id, image_id, polygons, threshold)
    SELECT s.id, s.image_id, '[[[1, 2.50]]]', 0.1 FROM segmentations s;
    INSERT INTO project_shares (project_id, user_id) SELECT id, user_id FROM projects;
"""
#: What the reference has not: triggers, references that are emptied, generated and identity columns, odd values.
MORE = """
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE labels (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, image_id uuid REFERENCES images (id) ON DELETE SET NULL,
        above bigint REFERENCES labels (id) ON DELETE CASCADE, text text, mood mood[], price numeric(8, 3),
        raw bytea, at timestamptz, "length of it" int GENERATED ALWAYS AS (length(text)) STORED, code char(5));
    INSERT INTO labels (image_id, text, mood, price, raw, at, code)
    SELECT id, E'a\\tb\\\\N', '{sad,NULL}', 1.50, '\\x00ff', 'infinity', 'x' FROM images;
    UPDATE labels SET above = id - 1 WHERE id > 1 AND id < 5;
    CREATE TABLE seen (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO seen VALUES (tg_op); RETURN NEW; END';
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON images FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER always AFTER UPDATE ON images FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE images ENABLE ALWAYS TRIGGER always;
    CREATE TABLE notes (text text);
    INSERT INTO notes VALUES ('no key');
    CREATE TABLE days (id int PRIMARY KEY) PARTITION BY RANGE (id);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scratch server with a database from which those of the tests are copied."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        _anew(one, SEED, "template0")
        with one.connect(SEED, autocommit=True) as session:
            for path in sorted(MIGRATIONS.glob("*.sql")):
                session.execute(path.read_bytes())
            session.execute((PEOPLE + MORE).encode())
        yield one


def _anew(server: Server, name: str, template: str) -> None:
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())


@pytest.fixture
def live(server: Server) -> Iterator[Connection]:
    """The live database."""
    _anew(server, LIVE, SEED)
    with server.connect(LIVE, autocommit=True) as session:
        yield session


@pytest.fixture
def then(server: Server) -> Iterator[Connection]:
    """The database as it was before: what a backup would be restored to."""
    _anew(server, THEN, SEED)
    with server.connect(THEN, autocommit=True) as session:
        yield session


def wanted(session: Connection, table: str, where: str = "", *, overwrite: bool = False) -> Wanted:
    """What is asked for; the backup was taken when the database was copied."""
    row: Any = session.execute("SELECT max(updated_at) FROM users").fetchone()
    return Wanted(table, condition(where) if where else EVERYTHING, row[0], overwrite)


def staged(live: Connection, then: Connection, order: Wanted) -> tuple[Repair, Found]:
    """Compared and laid beside, in one transaction as the procedure does it."""
    repair = Repair(live, "r1")
    with live.transaction():
        live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = Comparison(live, then, order).found()
        repair.stage(then, found)
    return repair, found


def world(session: Connection) -> dict[str, Any]:
    """Every table but those of repairs, and triggers."""
    triggers = session.execute("SELECT tgname, tgenabled FROM pg_trigger ORDER BY 1, 2").fetchall()
    tables = contents(session).items()
    return {"triggers": triggers, **{name: one for name, one in tables if not name.startswith("rollback_repair_")}}


#: What happened, which rows were asked for, and what is written by it. Afterwards all is as in the backup.
DAMAGE = {
    "garbage": (
        "UPDATE images SET name = 'garbage', size_bytes = 99 WHERE width = 2",
        "",
        {"public.images": {"repair": 20}},
    ),
    "nulls": ("UPDATE users SET password_hash = NULL", "", {"public.users": {"repair": 20}}),
    "swapped references": (
        "UPDATE projects p SET user_id = u.id FROM users u WHERE 'p ' || u.email = translate(p.name, '12', '21')",
        "",
        {"public.projects": {"repair": 4}},
    ),
    "corrupt time hides no row": (
        "UPDATE images SET created_at = '1970-01-01' WHERE width = 1",
        "created_at > '2020-01-01'",
        {"public.images": {"repair": 20}},
    ),
    "one image deleted": (
        "DELETE FROM images WHERE id = (SELECT min(id::text)::uuid FROM images)",
        "",
        {
            "public.images": {"bring back": 1},
            "public.labels": {"repair": 1},
            "public.segmentations": {"bring back": 1},
            "public.segmentation_results": {"bring back": 1},
        },
    ),
    "everything under half of the users": (
        "DELETE FROM users WHERE email LIKE '1%'",
        "",
        {
            "public.images": {"bring back": 33},
            "public.labels": {"repair": 33},
            "public.project_shares": {"bring back": 11},
            "public.projects": {"bring back": 11},
            "public.segmentation_results": {"bring back": 33},
            "public.segmentations": {"bring back": 33},
            "public.users": {"bring back": 11},
        },
    ),
    "a tree in one table": ("DELETE FROM labels WHERE id = 1", "id = 1", {"public.labels": {"bring back": 4}}),
    "odd values": (
        "UPDATE labels SET mood = NULL, price = 0, raw = '', at = NULL, text = 'x', code = '' WHERE id > 55",
        "",
        {"public.labels": {"repair": 5}},
    ),
}


@pytest.mark.parametrize(("damage", "where", "writes"), DAMAGE.values(), ids=DAMAGE)
def test_what_was_damaged_is_as_in_the_backup(
    live: Connection, then: Connection, damage: str, where: str, writes: dict[str, Any]
) -> None:
    """Row for row; triggers stay silent; and taken back, the damage is exactly as it was found."""
    order = wanted(live, _named(damage), where)
    live.execute(damage.encode())
    live.execute("TRUNCATE seen")
    damaged = world(live)
    repair, found = staged(live, then, order)
    assert (found.counts(), repair.state(), world(live)) == (writes, STAGED, damaged)
    repair.act()
    assert (world(live), repair.state()) == (world(then) | {"public.seen": damaged["public.seen"]}, REPAIRED)
    repair.act()
    repair.undo()
    assert (world(live), repair.state()) == (damaged, STAGED)
    repair.undo()
    repair.drop()
    assert repair.state() == ""


def _named(statement: str) -> str:
    """The table of a DELETE FROM or an UPDATE."""
    words = statement.split()
    return words[2] if words[0] == "DELETE" else words[1]


def test_what_users_did_meanwhile_stays(live: Connection, then: Connection, tmp_path: Path) -> None:
    """New rows and rows changed since the backup are listed and left, unless they are to be overwritten."""
    order = wanted(live, "projects")
    live.execute("UPDATE projects SET name = 'garbage' WHERE name ~ '^p 1[0-4]@'")
    live.execute("UPDATE projects SET name = 'future', updated_at = '2999-01-01' WHERE name = 'p 5@x.invalid'")
    live.execute("UPDATE projects SET name = 'mine', updated_at = now() WHERE name = 'p 3@x.invalid'")
    live.execute("INSERT INTO projects (user_id, name) SELECT id, 'neu' FROM users LIMIT 2")
    repair, found = staged(live, then, order)
    assert found.counts() == {"public.projects": {"leave": 3, "repair": 6}}
    repair.act()
    names = {str(row[0]) for row in live.execute("SELECT name FROM projects").fetchall()}
    assert {"garbage", "future"}.isdisjoint(names)
    assert names >= {"mine", "neu", "p 5@x.invalid"}
    listed = tmp_path / "rows.jsonl"
    found.listed(listed)
    rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    left = [(one["old"]["name"], one["new"] and one["new"]["name"]) for one in rows if one["decision"] == "leave"]
    assert sorted(left, key=str) == [("mine", "p 3@x.invalid"), ("neu", None), ("neu", None)]
    assert {one["old"]["name"] for one in rows if one["decision"] == "repair"} == {"garbage", "future"}
    assert listed.stat().st_mode & 0o777 == 0o600
    with live.transaction(force_rollback=True):
        live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        again = Comparison(live, then, wanted(then, "projects", overwrite=True)).found()
    assert again.counts() == {"public.projects": {"leave": 2, "repair": 1}}


def test_rows_that_were_not_asked_for_stay_damaged(live: Connection, then: Connection) -> None:
    """--where is a limit and no hint."""
    live.execute("UPDATE images SET name = 'garbage'")
    repair, found = staged(live, then, wanted(live, "public.images", "width = 3 OR images.width = 99"))
    repair.act()
    assert found.counts() == {"public.images": {"repair": 20}}
    assert live.execute("SELECT count(*) FROM images WHERE name = 'garbage'").fetchone() == (40,)


CHANGED_BETWEEN = {
    "a row to repair": ("UPDATE images SET height = 11 WHERE width = 2", "20 rows of public.images are changed after"),
    "a row to repair, deleted": ("DELETE FROM images WHERE width = 2", "20 rows of public.images are changed after"),
    "a row to bring back": (
        "INSERT INTO users SELECT * FROM users_kept",
        "1 rows of public.users are changed after they were compared",
    ),
}


@pytest.mark.parametrize(("meanwhile", "said"), CHANGED_BETWEEN.values(), ids=CHANGED_BETWEEN)
def test_a_row_that_changes_after_the_comparison_is_not_written(
    live: Connection, then: Connection, meanwhile: str, said: str
) -> None:
    """The decision was made for other values: all is as it was."""
    table = "users" if "users" in meanwhile else "images"
    live.execute("CREATE TABLE users_kept AS SELECT * FROM users WHERE email = '7@x.invalid'")
    live.execute(
        "DELETE FROM users WHERE email = '7@x.invalid'" if table == "users" else "UPDATE images SET name = 'g'"
    )
    repair, _ = staged(live, then, wanted(live, table))
    live.execute(meanwhile.encode())
    before = world(live)
    with pytest.raises(Refused, match=said):
        repair.act()
    assert (world(live), repair.state()) == (before, STAGED)


def test_what_users_change_after_the_plan_stays(live: Connection, then: Connection) -> None:
    """A row that is deleted, and a damaged one that is mended by its user: neither is written, all else is."""
    live.execute("UPDATE images SET name = 'garbage' WHERE width = 1")
    with live.transaction():
        plan = Comparison(live, then, wanted(live, "images")).found()
    live.execute("DELETE FROM images WHERE id = (SELECT min(id::text)::uuid FROM images WHERE width = 2)")
    live.execute("UPDATE images SET name = 'mine' WHERE id = (SELECT min(id::text)::uuid FROM images WHERE width = 1)")
    with live.transaction():
        found = Comparison(live, then, wanted(live, "images")).found().within(plan.marks())
        repair = Repair(live, "r1")
        repair.stage(then, found)
    repair.act()
    row: Any = live.execute(
        "SELECT count(*) FILTER (WHERE name = 'garbage'), count(*) FILTER (WHERE name = 'mine'), count(*) FROM images"
    ).fetchone()
    before: Any = then.execute("SELECT count(*) FROM images").fetchone()
    assert row == (0, 1, before[0] - 1)
    assert found.counts()["public.images"] == {"leave": 2, "repair": plan.counts()["public.images"]["repair"] - 1}


def test_what_was_repaired_and_then_used_is_not_taken_back(live: Connection, then: Connection) -> None:
    """A new project of a user who was brought back would go with the user."""
    live.execute("DELETE FROM users WHERE email = '7@x.invalid'")
    repair, _ = staged(live, then, wanted(live, "users"))
    repair.act()
    live.execute("INSERT INTO projects (user_id, name) SELECT id, 'new' FROM users WHERE email = '7@x.invalid'")
    before = world(live)
    with pytest.raises(Refused, match=r"other rows of public\.projects are not what they were"):
        repair.undo()
    assert (world(live), repair.state()) == (before, REPAIRED)
    live.execute("DELETE FROM projects WHERE name = 'new'")
    live.execute("UPDATE users SET name = 'Married' WHERE email = '7@x.invalid'")
    with pytest.raises(Refused, match=r"1 rows of public\.users are changed after they were repaired"):
        repair.undo()


def test_a_cascade_into_another_table_is_seen(live: Connection, then: Connection) -> None:
    """No trigger of a user, and no row of the repair: it does not commit."""
    for session in (live, then):
        session.execute("ALTER TABLE users ADD UNIQUE (name)")
        session.execute("CREATE TABLE badges (id int PRIMARY KEY, name text REFERENCES users (name) ON UPDATE CASCADE)")
    live.execute("UPDATE users SET name = 'garbage' WHERE email = '7@x.invalid'")
    live.execute("INSERT INTO badges VALUES (1, 'garbage')")
    refused(live, then, "users", r"1 rows of public\.badges were written, 0 by the repair")


def test_a_row_whose_parent_is_gone_is_refused(live: Connection, then: Connection) -> None:
    """PostgreSQL itself checks references while the triggers of users rest."""
    live.execute("DELETE FROM users WHERE email = '8@x.invalid'")
    refused(live, then, "projects", "violates foreign key constraint")


def test_a_row_whose_place_was_taken_is_refused(live: Connection, then: Connection) -> None:
    """Somebody has signed up again with the same address."""
    live.execute("DELETE FROM users WHERE email = '9@x.invalid'")
    live.execute("INSERT INTO users (email, name) VALUES ('9@x.invalid', 'new')")
    refused(live, then, "users", "duplicate key value violates unique constraint")


@pytest.mark.parametrize("other", ["images", "projects", "schema"])
def test_a_proof_that_does_not_hold_rolls_back(
    live: Connection, then: Connection, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Sabotage within the transaction: one more row of the table or of another, or a trigger that stays silent."""
    sabotage = {
        "images": "UPDATE images SET height = height + 1 WHERE width = 3",
        "projects": "UPDATE projects SET name = name",
        "schema": "DROP TRIGGER always ON images",
    }
    update = Staged.update

    def more(one: Staged, source: Any) -> int:
        written = update(one, source)
        live.execute(sabotage[other].encode())
        return written

    live.execute("UPDATE images SET name = 'garbage' WHERE width = 2")
    monkeypatch.setattr(Staged, "update", more)
    said = {
        "images": "other rows of public.images are not what they were",
        "projects": "20 rows of public.projects were written, 0 by the repair",
        "schema": "trigger .* does not exist",
    }
    refused(live, then, "images", said[other])


def refused(live: Connection, then: Connection, table: str, said: str) -> None:
    """Compared, tried, refused, and everything as before."""
    repair, _ = staged(live, then, wanted(then, table, overwrite=True))
    before = world(live)
    with pytest.raises(Refused, match=said):
        repair.act()
    assert (world(live), repair.state()) == (before, STAGED)


def test_readers_go_on_and_writers_of_other_rows_are_seen_by_nobody_as_damage(
    server: Server, live: Connection, then: Connection
) -> None:
    """While users write other rows all the time the repair gets its locks, and what they wrote is there."""
    live.execute("UPDATE images SET name = 'garbage' WHERE width = 2")
    stop, written = threading.Event(), list[int]()

    def work() -> None:
        with server.connect(LIVE, autocommit=True) as session:
            while not stop.is_set():
                session.execute("UPDATE images SET height = height + 1 WHERE width = 3")
                session.execute("SELECT count(*) FROM images")
                written.append(1)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        repair, _ = staged(live, then, wanted(live, "images", "width = 2"))
        repair.act()
        seen, deadline = len(written), time.monotonic() + 30
        while len(written) <= seen:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stop.set()
        worker.join()
    assert live.execute("SELECT count(*) FROM images WHERE name = 'garbage'").fetchone() == (0,)
    assert live.execute("SELECT min(height), max(height) FROM images WHERE width = 3").fetchone() == (
        10 + len(written),
        10 + len(written),
    )


def test_no_locks_no_repair(server: Server, live: Connection, then: Connection) -> None:
    """Behind a long transaction it gives up; nobody waits behind it for long."""
    live.execute("UPDATE images SET name = 'garbage' WHERE width = 2")
    staged(live, then, wanted(live, "images"))
    with server.connect(LIVE) as other:
        other.execute("UPDATE images SET height = 99 WHERE width = 3")
        with pytest.raises(Refused, match="could not be locked within"):
            Repair(live, "r1", lock_seconds=0.1).act()


REFUSALS = {
    "no table": ("nothing", "", "There is no table nothing"),
    "no key": ("notes", "", "public.notes has no primary key"),
    "a view": ("queue_depth", "", "public.queue_depth is a view"),
    "partitioned": ("days", "", "public.days is partitioned"),
    "two of the name": ("twice", "", "twice may be other.twice or public.twice"),
    "another schema now": ("users", "", "public.users is not what it was when the backup was taken: nickname"),
    "not in the backup": ("since_then", "", "There is no table public.since_then"),
    "a column of nobody": ("images", "nonsense = 1", 'column "nonsense" does not exist'),
    "a volatile function": ("images", "pg_terminate_backend(1)", "calls pg_terminate_backend"),
}


@pytest.mark.parametrize(("table", "where", "said"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(live: Connection, then: Connection, table: str, where: str, said: str) -> None:
    """One sentence, before anything is written."""
    live.execute("ALTER TABLE users ADD COLUMN nickname text; CREATE TABLE since_then (id int PRIMARY KEY)")
    live.execute("CREATE SCHEMA other; CREATE TABLE other.twice (a int); CREATE TABLE twice (a int)")
    live.execute("UPDATE images SET name = 'garbage'")
    with pytest.raises((Refused, UsageError), match=said):
        staged(live, then, wanted(live, table, where))
    assert Repair(live, "r1").state() == ""
