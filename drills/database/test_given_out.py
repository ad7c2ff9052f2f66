"""Security breach: where rollback.toml says that tokens are kept is seen to be there, on a real PostgreSQL."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from drills.database.servers import IMAGE
from rollback.containment.given import lacking, session_of, there
from rollback.containment.revocation import FILE, Revocation, again
from rollback.containment.table import ContainmentTable
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

TABLES = (
    "CREATE TABLE users (id int, password_hash text, must_reset_password bool, created_at timestamptz)",
    'CREATE TABLE "Sessions" (ended_at timestamptz, created_at timestamptz)',
    "CREATE TABLE tokens (revoked_at timestamptz)",
    "CREATE SCHEMA rollback_attic_1",
    'CREATE TABLE rollback_attic_1."public.taken_back" ()',
)
HAS = 'there are "Sessions", tokens, users'
NAMED = {
    "as it is": ({"Sessions": "ended_at"}, {}, ""),
    "taken back by a rollback": ({"Sessions": "ended_at", "taken_back": "ended_at"}, {}, ""),
    "misspelt": ({"token": "revoked_at"}, {}, "[containment.tokens]: there is no table token"),
    "in other letters": ({"sessions": "ended_at"}, {}, "[containment.tokens]: there is no table sessions"),
    "a column": (
        {"Sessions": "closed_at"},
        {},
        "[containment.tokens]: Sessions has no closed_at, but created_at, ended_at",
    ),
    "no age": ({"tokens": "revoked_at"}, {}, "[containment.tokens]: tokens has no created_at, but revoked_at"),
    "accounts": ({}, {"table": "accounts"}, "[containment.users]: there is no table accounts"),
    "a flag": ({}, {"flag": "reset", "id": "key"}, "[containment.users]: users has no key, reset, but created_at, id"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scratch server."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        yield one


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Connection]:
    """A session on a database with accounts, sessions and tokens."""
    with server.connect("postgres", autocommit=True) as found:
        for command in TABLES:
            found.execute(command.encode())
        yield found


@pytest.mark.parametrize(("tokens", "users", "wrong"), NAMED.values(), ids=NAMED)
def test_what_is_named_has_to_be_there(
    session: Connection, tokens: dict[str, str], users: dict[str, str], wrong: str
) -> None:
    """Table, column, and the column of its age; what is wrong is told with what there is, without what is ours."""
    told = lacking(session, ContainmentTable.model_validate({"tokens": tokens, "users": users}))
    assert (told[0].startswith(wrong), told[1:]) == (True, [HAS]) if wrong else not told


def test_a_table_is_looked_for_as_statements_name_it(session: Connection) -> None:
    """In the very letters: a table that is there and skipped would keep its sessions open."""
    assert there(session, "Sessions")
    assert there(session, "public.Sessions")
    assert not there(session, "sessions")
    assert not there(session, "public.nothing")


#: What he wants asked instead: no accounts, no tokens, and an operator by which nothing is older than anything.
DECOYS = (
    "CREATE DATABASE deceived",
    "ALTER DATABASE deceived SET search_path = audit, public, pg_catalog",
)
INSIDE = (
    "CREATE TABLE public.users (id int, password_hash text, must_reset_password bool, created_at timestamptz)",
    "CREATE TABLE public.tokens (revoked_at timestamptz, created_at timestamptz)",
    "INSERT INTO public.users VALUES (1, 'hash', false, '2020-01-01')",
    "INSERT INTO public.tokens VALUES (NULL, '2020-01-01')",
    "CREATE SCHEMA audit",
    "CREATE TABLE audit.users (LIKE public.users)",
    "CREATE TABLE audit.tokens (LIKE public.tokens)",
    "CREATE FUNCTION audit.never(timestamptz, timestamptz) RETURNS bool LANGUAGE sql AS 'SELECT false'",
    "CREATE OPERATOR audit.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = audit.never)",
)


def test_decoys_before_the_tables_deceive_nobody(session: Connection, tmp_path: Path) -> None:
    """The search_path of the database is the intruder's: what is revoked is in the tables that were meant."""
    for command in DECOYS:
        session.execute(command.encode())
    (tmp_path / FILE).write_text(json.dumps([{"run": "run", "at": "2026-01-01T00:00:00+00:00"}]), encoding="utf-8")
    table = ContainmentTable.model_validate({"tokens": {"tokens": "revoked_at"}})
    deployment: Any = SimpleNamespace(settings=SimpleNamespace(containment=table), state=tmp_path)
    with psycopg.connect(session.info.dsn, password=session.info.password, dbname="deceived", autocommit=True) as one:
        for command in INSIDE:
            one.execute(command.encode())
        assert again(deployment, one) == 1
        assert one.execute("SELECT password_hash, must_reset_password FROM public.users").fetchall() == [(None, True)]
        assert one.execute("SELECT count(*) FROM public.tokens WHERE revoked_at IS NULL").fetchall() == [(0,)]


def test_own_sessions_are_not_deceived_either(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """By which it is read what is still open, and what goes into the evidence: from its first statement on."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("ALTER DATABASE postgres SET search_path = audit, pg_catalog")
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(server))
    deployment: Any = SimpleNamespace(settings=SimpleNamespace(database=SimpleNamespace(name="postgres")))
    with session_of(deployment) as one:
        assert one.execute("SHOW search_path").fetchall() == [("pg_catalog,public",)]
    with server.connect("postgres", autocommit=True) as admin:
        assert admin.execute("SHOW search_path").fetchall() == [("audit, pg_catalog",)]
        admin.execute("ALTER DATABASE postgres RESET search_path")


#: What fires also for a session that replicates: it keeps the hash, the token and the role.
ALWAYS = (
    "CREATE FUNCTION public.kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE TRIGGER kept BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.kept()",
    "ALTER TABLE public.users ENABLE ALWAYS TRIGGER kept",
    """CREATE RULE "kept {} %s" AS ON UPDATE TO public.tokens DO INSTEAD NOTHING""",
    """ALTER TABLE public.tokens ENABLE REPLICA RULE "kept {} %s" """,
    "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
    "CREATE EVENT TRIGGER no ON ddl_command_end EXECUTE FUNCTION public.no()",
    "ALTER EVENT TRIGGER no ENABLE ALWAYS",
)
HEARING = """SELECT concat(evtname, evtenabled) FROM pg_event_trigger UNION ALL
    SELECT concat(tgname, tgenabled) FROM pg_trigger UNION ALL
    SELECT concat(rulename, ev_enabled) FROM pg_rewrite WHERE rulename ~ 'kept'"""


def test_what_he_hung_on_the_tables_hears_nothing(server: Server, tmp_path: Path) -> None:
    """Not by triggers, rules or event triggers that are always on either; all of it stands as it stood afterwards."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE overheard")
    (tmp_path / FILE).write_text(json.dumps([{"run": "run", "at": "2026-01-01T00:00:00+00:00"}]), encoding="utf-8")
    table = ContainmentTable.model_validate({"tokens": {"tokens": "revoked_at"}})
    deployment: Any = SimpleNamespace(settings=SimpleNamespace(containment=table), state=tmp_path)
    with server.connect("overheard", autocommit=True) as one:
        for command in (*INSIDE[:4], *ALWAYS):
            one.execute(command.encode())
        before = one.execute(HEARING).fetchall()
        assert again(deployment, one) == 1
        assert one.execute("SELECT password_hash, must_reset_password FROM public.users").fetchall() == [(None, True)]
        assert one.execute("SELECT count(*) FROM public.tokens WHERE revoked_at IS NULL").fetchall() == [(0,)]
        assert one.execute(HEARING).fetchall() == before == [("noA",), ("keptA",), ("kept {} %sR",)]


def test_a_hash_that_came_back_is_told(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the event was written down is no proof: the account has to have lost its hash, or to have a new one."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE returned")
    (tmp_path / FILE).write_text(json.dumps([{"run": "run", "at": "2026-01-01T00:00:00+00:00"}]), encoding="utf-8")
    table = ContainmentTable.model_validate({"tokens": {"tokens": "revoked_at"}, "roles": ["postgres"]})
    settings = SimpleNamespace(containment=table, database=SimpleNamespace(name="returned", user="postgres"))
    deployment: Any = SimpleNamespace(settings=settings, state=tmp_path)
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(server))
    with server.connect("returned", autocommit=True) as one:
        for command in INSIDE[:4]:
            one.execute(command.encode())
        again(deployment, one)
        assert Revocation(deployment, "run").reading().holds
        for value, holds in (("hash", False), ("new", True)):
            one.execute("UPDATE users SET password_hash = %s", (value,))
            assert Revocation(deployment, "run").reading().holds is holds


#: When what was given out before is void; the backup that is restored later is of the day after.
AT, TAKEN = "2026-01-01T00:00:00+00:00", datetime(2026, 1, 2, tzinfo=UTC)
#: By what it is dated: whether that may be believed of a row that is found now, and of one in the backup.
DATED = {
    "2025-12-31": (False, False),
    None: (False, False),
    "2099-01-01": (False, False),
    "infinity": (False, False),
    "2026-01-01T12:00:00Z": (True, True),
    "2026-01-03": (True, False),  # of the day after it was backed up
}


@pytest.fixture
def dated(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Connection]]:
    """A deployment of which a containment is decreed, and its database with a token and an account of each date."""
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(server))
    (tmp_path / FILE).write_text(json.dumps([{"run": "run", "at": AT}]), encoding="utf-8")
    table = ContainmentTable.model_validate({"tokens": {"tokens": "revoked_at"}, "roles": ["postgres"]})
    settings = SimpleNamespace(containment=table, database=SimpleNamespace(name="dated", user="postgres"))
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS dated WITH (FORCE)")
        admin.execute("CREATE DATABASE dated")
    with server.connect("dated", autocommit=True) as one:
        for command in INSIDE[:2]:
            one.execute(command.encode())
        for number, moment in enumerate(DATED):
            one.execute("INSERT INTO users VALUES (%s, 'hash', false, %s)", (number, moment))
            one.execute("INSERT INTO tokens VALUES (NULL, %s)", (moment,))
        yield SimpleNamespace(settings=settings, state=tmp_path), one


@pytest.mark.parametrize("taken", [None, TAKEN], ids=["live", "restored"])
def test_who_was_in_wrote_the_dates_too(dated: tuple[Any, Connection], taken: datetime | None) -> None:
    """What he dates into the future, or not at all, is void; who came after the containment stays signed in."""
    deployment, one = dated
    good = {moment for moment, believed in DATED.items() if believed[taken is not None]}
    again(deployment, one, taken)
    tokens = one.execute("SELECT count(*) FROM tokens WHERE revoked_at IS NULL").fetchall()
    kept: list[Any] = one.execute("SELECT id FROM users WHERE password_hash = 'hash' ORDER BY id").fetchall()
    assert tokens == [(len(good),)]
    assert {[*DATED][row[0]] for row in kept} == good


@pytest.mark.parametrize("moment", [one for one, (believed, _) in DATED.items() if not believed])
def test_a_date_that_is_not_believed_is_no_proof_either(dated: tuple[Any, Connection], moment: str | None) -> None:
    """What came in between is told by the reading, whatever date it bears; a token that ends some day is still good."""
    deployment, one = dated
    again(deployment, one)
    revocation = Revocation(deployment, "run")
    assert revocation.reading().holds
    one.execute("INSERT INTO tokens VALUES ('2099-01-01', %s)", (moment,))
    one.execute("INSERT INTO users VALUES (99, 'hash', false, %s)", (moment,))
    assert revocation.reading().seen == "1 open in tokens; 1 passwords of before"
    again(deployment, one)
    assert revocation.reading().holds
