"""A backup is restored beside, proven, and swapped in; the live database is kept, and nothing is lost unannounced."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest

from drills.database.servers import until
from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.beside import Beside, Overtaken, drop_kept, kept
from rollback.database.contents import contents
from rollback.database.late import Late, late_writes
from rollback.database.server import Server
from rollback.engine import CommandFailed
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.backup.shelf import Backup
    from rollback.database.server import Connection

pytestmark = [pytest.mark.engine, pytest.mark.database]

MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"
LIVE = "spheroseg"
#: Far above what a swap takes (a fifth of a second): a limit for a hang, no figure.
AWAY_SECONDS = 15


@pytest.fixture
def live(server: Server) -> Iterator[Connection]:
    """The live database with some users and projects, and with grants and settings of its own."""
    with server.connect("postgres", autocommit=True) as admin:
        for name in [
            row[0] for row in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'spheroseg%'")
        ]:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        admin.execute("CREATE DATABASE spheroseg")
        admin.execute("REVOKE ALL ON DATABASE spheroseg FROM PUBLIC; GRANT CONNECT ON DATABASE spheroseg TO pg_monitor")
        admin.execute("ALTER DATABASE spheroseg SET statement_timeout = '77s'")
        admin.execute("""ALTER DATABASE spheroseg SET search_path = public, "$user", 'odd, name'""")
        if admin.execute("SELECT FROM pg_roles WHERE rolname = 'reporting'").fetchone() is None:
            admin.execute("CREATE ROLE reporting")
        admin.execute("ALTER ROLE reporting IN DATABASE spheroseg SET work_mem = '9MB'")
    with server.connect(LIVE, autocommit=True) as session:
        session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        for path in sorted(MIGRATIONS.glob("*.sql")):
            session.execute(path.read_bytes())
            session.execute("INSERT INTO schema_migrations VALUES (%s)", (path.name[:3],))
        session.execute(
            "INSERT INTO users (id, email, name, password_hash) SELECT gen_random_uuid(), n || '@x.invalid',"
            " 'Müller ' || n, 'x' FROM generate_series(1, 200) n"
        )
        session.execute("INSERT INTO projects (user_id, name) SELECT id, 'p ' || email FROM users")
        session.execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('no key')")
        yield session


@pytest.fixture
def backup(server: Server, live: Connection, tmp_path: Path) -> Backup:
    """A backup of it."""
    assert live
    shelf = Shelf(tmp_path / "backups", Keys(tmp_path / "key"))
    with shelf.held("test"):
        return take(server, shelf, Order(LIVE), lambda _manifest, _digest: None)


def beside(server: Server) -> Beside:
    """A restore into this server."""
    return Beside(server, LIVE, "r1", "schema_migrations")


def about(server: Server, name: str) -> Any:
    """Grants and settings of a database."""
    with server.connect("postgres") as admin:
        return admin.execute(
            "SELECT datacl::text, (SELECT array_agg(setrole::regrole::text || ' ' || one ORDER BY setrole, one)"
            " FROM pg_db_role_setting, unnest(setconfig) one WHERE setdatabase = d.oid)"
            " FROM pg_database d WHERE datname = %s",
            (name,),
        ).fetchone()


def test_restored_beside_then_swapped_then_back(server: Server, live: Connection, backup: Backup) -> None:
    """Until the swap the live database is what it was; then the name leads to the backup's rows; and back again."""
    one, then = beside(server), contents(live)
    live.execute("DELETE FROM users WHERE email LIKE '1%'")
    damaged, facts = contents(live), about(server, LIVE)
    look = one.so_far(12)
    assert re.match(r"0 MB restored, \d+ of about 12 s", look())
    one.restore(backup.manifest(), backup.folder)
    assert int(look().split()[0]) >= 7
    assert (one.restored()[0], one.swapped(), contents(live)) == (True, False, damaged)
    one.swap()
    with server.connect(LIVE) as now, server.connect(one.old) as old:
        assert (contents(now), contents(old)) == (then, damaged)
    assert about(server, LIVE) == facts
    assert one.restored()[0]
    one.swap_back()
    with server.connect(LIVE) as now:
        assert contents(now) == damaged
    assert not one.swapped()
    one.drop()
    assert not one.restored()[0]


class Dying:
    """A session whose program is killed at one statement."""

    def __init__(self, session: Connection, statement: str) -> None:
        self.session, self.statement = session, statement

    def __enter__(self) -> Self:
        self.session.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self.session.__exit__(*how)  # type: ignore[arg-type]

    def transaction(self) -> Any:
        """As the session's."""
        return self.session.transaction()

    def execute(self, query: Any, *more: Any) -> Any:
        """Until that statement."""
        if not isinstance(query, str) and query.as_string(self.session) == self.statement:
            raise KeyboardInterrupt
        return self.session.execute(query, *more)


@pytest.mark.parametrize("name", ["spheroseg_before_r1", "spheroseg"])
def test_a_swap_that_was_killed_is_not_done_until_both_let_sessions_in(
    server: Server, backup: Backup, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What was planted is looked for in the database of before: one that is shut would seem to hold nothing."""
    one, connect = beside(server), Server.connect
    one.restore(backup.manifest(), backup.folder)
    statement = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'
    with monkeypatch.context() as patched:
        patched.setattr(Server, "connect", lambda *a, **k: Dying(connect(*a, **k), statement))
        with pytest.raises(KeyboardInterrupt):
            one.swap()
    assert (one.swapped(), one.serving(), one.old) == (True, False, "spheroseg_before_r1")
    one.open()
    assert one.serving()
    for database in (one.old, LIVE):
        server.connect(database).close()


def test_who_only_reads_from_the_beginning_writes_into_what_was_restored(server: Server, backup: Backup) -> None:
    """Stopped before the restore, writes are stopped in the live database alone; nothing of it is carried over."""
    one = beside(server)
    assert one.writable()
    one.stop_writes()
    assert not one.writable()
    with server.connect(LIVE) as now, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        now.execute("DELETE FROM users")
    one.restore(backup.manifest(), backup.folder)
    one.swap()
    with server.connect(LIVE, autocommit=True) as now:
        assert now.execute("DELETE FROM users").rowcount == 200
    assert one.writable()


def test_applications_that_connect_again_are_away_for_a_moment(
    server: Server, live: Connection, backup: Backup
) -> None:
    """Sessions are ended once, nobody finds a name without a database, and everybody works on afterwards."""
    assert live
    one, stop, strange = beside(server), threading.Event(), list[str]()
    worked: dict[int, list[float]] = {number: [] for number in range(4)}
    one.restore(backup.manifest(), backup.folder)

    def work(number: int) -> None:
        session: Connection | None = None
        while not stop.is_set():
            try:
                session = session or server.connect(LIVE, autocommit=True)
                session.execute("UPDATE projects SET name = name WHERE name = 'p 1@x.invalid'")
                worked[number].append(time.monotonic())
            except (psycopg.Error, Failed) as error:
                session = None
                strange.extend([str(error)] if "does not exist" in str(error) else [])
        if session is not None:
            session.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in worked]
    for worker in workers:
        worker.start()
    try:
        until(lambda: all(worked.values()))
        away = one.swap()
        swapped = time.monotonic()
        until(lambda: all(times[-1] > swapped for times in worked.values()))
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert strange == []
    assert away < AWAY_SECONDS
    with server.connect(LIVE) as now:
        assert now.execute("SELECT count(*) FROM users").fetchone() == (200,)


def test_an_archive_that_cannot_be_restored_leaves_the_live_database_alone(
    server: Server, live: Connection, backup: Backup
) -> None:
    """Cut in the middle: pg_restore says so, nothing counts as restored, and the next try begins anew."""
    one, before = beside(server), contents(live)
    victim = max((backup.folder / "dump").glob("*.dat*"), key=lambda path: path.stat().st_size)
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CommandFailed, match="pg_restore ended with 1"):
        one.restore(backup.manifest(), backup.folder)
    assert (one.restored()[0], one.swapped(), contents(live)) == (False, False, before)
    victim.write_bytes(whole)
    one.restore(backup.manifest(), backup.folder)
    assert one.restored()[0]


def test_an_archive_with_other_rows_than_its_manifest_is_not_believed(
    server: Server, live: Connection, backup: Backup
) -> None:
    """Whole, readable, and not what was backed up: the proof before the swap says which table."""
    before, said = contents(live), backup.manifest()
    tables = dict(said.state.tables)
    tables["public.users"] = tables["public.users"].model_copy(update={"hash": "1"})
    wrong = said.model_copy(update={"state": said.state.model_copy(update={"tables": tables})})
    one = replace(beside(server), run="r2")
    with pytest.raises(Failed, match=r"table public\.users: 200 rows"):
        one.restore(wrong, backup.folder)
    assert (one.restored()[0], contents(live)) == (False, before)


def test_late_writes_are_counted_by_table_and_listed_by_row(
    server: Server, live: Connection, backup: Backup, tmp_path: Path
) -> None:
    """New, changed and deleted rows are told apart, and what will be lost is written down whole."""
    one = beside(server)
    one.restore(backup.manifest(), backup.folder)
    live.execute("INSERT INTO projects (user_id, name) SELECT id, 'späte Arbeit' FROM users LIMIT 3")
    live.execute("UPDATE users SET name = 'Married' WHERE email IN ('7@x.invalid', '8@x.invalid')")
    live.execute("DELETE FROM projects WHERE name = 'p 9@x.invalid'")
    live.execute("INSERT INTO notes VALUES ('one'), ('two')")
    live.execute("CREATE TABLE since_then (a int); INSERT INTO since_then VALUES (1)")
    listed = tmp_path / "late.jsonl"
    with server.connect(LIVE) as now, server.connect(one.name) as then:
        found = late_writes(now, then, listed)
    assert found == [
        Late("public.notes", new=2, keyless=True),
        Late("public.projects", new=3, deleted=1),
        Late("public.since_then", new=1, keyless=True),
        Late("public.users", changed=2),
    ]
    rows = [json.loads(line) for line in listed.read_text().splitlines()]
    assert sorted((one["table"], one["kind"], one["row"]["name"]) for one in rows) == [
        ("public.projects", "deleted", "p 9@x.invalid"),
        ("public.projects", "new", "späte Arbeit"),
        ("public.projects", "new", "späte Arbeit"),
        ("public.projects", "new", "späte Arbeit"),
        ("public.users", "changed", "Married"),
        ("public.users", "changed", "Married"),
    ]
    assert listed.stat().st_mode & 0o777 == 0o600


def test_a_table_that_is_gone_is_told_and_not_counted(
    server: Server, live: Connection, backup: Backup, tmp_path: Path
) -> None:
    """What a dropped table had since the backup nobody knows: that is said, and the other tables are compared."""
    one = beside(server)
    one.restore(backup.manifest(), backup.folder)
    live.execute("DROP TABLE projects CASCADE")
    live.execute("INSERT INTO users (email, name, password_hash) VALUES ('new@x.invalid', 'n', 'x')")
    with server.connect(LIVE) as now, server.connect(one.name) as then:
        found = {late.table: str(late) for late in late_writes(now, then, tmp_path / "late.jsonl")}
    assert found["public.projects"].startswith("public.projects: is gone (200 rows of it are in the backup)")
    assert found["public.users"].startswith("public.users: 1 new rows lost")


def test_whoever_writes_after_the_list_holds_up_the_swap(server: Server, live: Connection, backup: Backup) -> None:
    """Writes stop for whoever connects; who insists on writing is noticed, and the live database serves on."""
    assert live
    one = beside(server)
    one.restore(backup.manifest(), backup.folder)
    one.stop_writes()
    written = one.written()
    with server.connect(LIVE, autocommit=True) as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("DELETE FROM projects")
    with server.connect(LIVE, autocommit=True) as insistent:
        insistent.execute("SET default_transaction_read_only = off")
        insistent.execute("UPDATE users SET name = 'late' WHERE email = '1@x.invalid'")
    with pytest.raises(Overtaken):
        one.swap(unwritten_since=written)
    assert not one.swapped()
    with server.connect(one.name) as restored:
        assert restored.execute("SELECT count(*) FROM users").fetchone() == (200,)
    one.allow_writes()
    with server.connect(LIVE, autocommit=True) as writer:
        assert writer.execute("UPDATE users SET name = 'again' WHERE name = 'late'").rowcount == 1


def test_what_postgresql_does_by_itself_does_not_hold_up_the_swap(
    server: Server, live: Connection, backup: Backup
) -> None:
    """Who analyses tables, as autovacuum does at any time, has written nothing; a table made or emptied counts."""
    one = beside(server)
    live.execute("CREATE STATISTICS of_users ON id, email FROM users")
    one.restore(backup.manifest(), backup.folder)
    one.stop_writes()
    written = one.written()
    with server.connect(LIVE, autocommit=True) as other:
        other.execute("SET default_transaction_read_only = off")
        other.execute("VACUUM ANALYZE")
    assert one.written() == written
    for change in ("CREATE TABLE since_then (a int)", "TRUNCATE since_then", "DROP TABLE since_then"):
        before = one.written()
        with server.connect(LIVE, autocommit=True) as other:
            other.execute("SET default_transaction_read_only = off")
            other.execute(change.encode())
        until(lambda before=before: one.written() != before)  # type: ignore[misc]
    one.swap(unwritten_since=one.written())
    assert one.serving()


def test_only_kept_databases_can_be_dropped(server: Server, live: Connection, backup: Backup) -> None:
    """The database of before goes when somebody says so; the live one and any other is refused."""
    assert live
    one = replace(beside(server), run="261124160318e198")
    one.restore(backup.manifest(), backup.folder)
    one.swap()
    assert [name for name, _ in kept(server, LIVE)] == [one.old]
    for name in (LIVE, "postgres", "spheroseg_before_x"):
        with pytest.raises(Refused, match="is no database that a rollback has kept"):
            drop_kept(server, LIVE, name)
    drop_kept(server, LIVE, one.old)
    assert kept(server, LIVE) == []
