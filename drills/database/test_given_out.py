"""Security breach: where rollback.toml says that tokens are kept is seen to be there, on a real PostgreSQL."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from drills.database.servers import IMAGE
from rollback.containment.given import lacking, session_of, there
from rollback.containment.revocation import FILE, again
from rollback.containment.table import ContainmentTable
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection

pytestmark = [pytest.mark.engine, pytest.mark.database]

TABLES = (
    "CREATE TABLE users (id int, password_hash text, must_reset_password bool, created_at timestamptz)",
    'CREATE TABLE "Sessions" (ended_at timestamptz, created_at timestamptz)',
    "CREATE TABLE tokens (revoked_at timestamptz)",
    "CREATE SCHEMA rollback_attic_1",
    "CREATE TABLE rollback_attic_1.old ()",
)
HAS = 'there are "Sessions", tokens, users'
NAMED = {
    "as it is": ({"Sessions": "ended_at"}, {}, ""),
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
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A session on a database with accounts, sessions and tokens."""
    engine = Engine(tmp_path_factory.mktemp("scratch"))
    with scratch(engine, IMAGE) as one, one.connect("postgres", autocommit=True) as found:
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


def test_own_sessions_are_not_deceived_either(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """By which it is read what is still open, and what goes into the evidence."""
    session.execute("SET search_path = audit, pg_catalog")
    monkeypatch.setattr("rollback.database.server.session_of", lambda _: nullcontext(session))
    nobody: Any = None
    with session_of(nobody) as one:
        assert one.execute("SHOW search_path").fetchall() == [("pg_catalog, public",)]
