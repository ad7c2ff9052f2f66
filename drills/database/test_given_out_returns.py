"""Security breach: what was revoked is void wherever rows come back from, on a real PostgreSQL."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment.revocation import FILE, again
from rollback.containment.table import ContainmentTable
from rollback.database.expectation import Migration, made_by
from rollback.database.schema.change import Change
from rollback.procedures import migration, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

USERS = Migration(
    "001",
    "001_users.sql",
    """
    CREATE TABLE users (id int PRIMARY KEY, password_hash text, must_reset_password bool NOT NULL DEFAULT false,
                        created_at timestamptz NOT NULL DEFAULT '2025-06-01');
    INSERT INTO users SELECT n, 'of ' || n FROM generate_series(1, 3) n;
    """,
)
TOKENS = Migration(
    "002",
    "002_tokens.sql",
    """
    CREATE TABLE tokens (id int PRIMARY KEY, revoked_at timestamptz,
                         created_at timestamptz NOT NULL DEFAULT '2025-06-01');
    """,
    "DROP TABLE tokens",
)
OPEN, RESET = (
    "SELECT id FROM tokens WHERE revoked_at IS NULL",
    "SELECT id FROM users WHERE password_hash IS NULL ORDER BY id",
)


@pytest.fixture
def deployment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One that was contained in 2026, and has a backup of before beside."""
    for name in ("live", "backed_up"):
        with server.connect("postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            admin.execute(f"CREATE DATABASE {name}".encode())
        with server.connect(name, autocommit=True) as one:
            one.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
            for each in (USERS, TOKENS):
                one.execute(each.up.encode())
                one.execute("INSERT INTO schema_migrations VALUES (%s)", (each.version,))
            one.execute("INSERT INTO tokens VALUES (1, NULL), (2, '2025-07-01')")
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(server))
    table = ContainmentTable.model_validate({"tokens": {"tokens": "revoked_at"}})
    database = SimpleNamespace(name="live", user="postgres", history="schema_migrations")
    (tmp_path / FILE).write_text(json.dumps([{"run": "run", "at": "2026-01-01T00:00:00+00:00"}]), encoding="utf-8")
    return SimpleNamespace(settings=SimpleNamespace(containment=table, database=database), state=tmp_path)


@pytest.fixture
def live(server: Server, deployment: Any) -> Iterator[Connection]:
    """A session on the live database."""
    with server.connect(deployment.settings.database.name, autocommit=True) as one:
        yield one


def test_a_token_that_an_attic_has_kept_is_not_good_again(server: Server, deployment: Any, live: Connection) -> None:
    """A database of before the containment was restored that has one; what the migration takes forward is void."""
    made = made_by(server, [USERS, TOKENS], {"002"}, ())["002"]
    work = migration._Procedure(deployment, {"run": "run1"})._work(live)  # noqa: SLF001 -- what its steps work with
    work.back(TOKENS, made)
    again(deployment, live)
    work.forward(TOKENS, made)
    assert live.execute("SELECT count(*) FROM tokens").fetchall() == [(2,)]
    assert live.execute(OPEN).fetchall() == []


def test_without_its_revocation_nothing_comes_back(server: Server, deployment: Any, live: Connection) -> None:
    """It is one transaction: nobody sees the tokens in between, and a kill leaves none."""
    made = made_by(server, [USERS, TOKENS], {"002"}, ())["002"]
    work = migration._Procedure(deployment, {"run": "run1"})._work(live)  # noqa: SLF001 -- what its steps work with
    work.back(TOKENS, made)
    (deployment.state / FILE).write_text("torn", encoding="utf-8")
    with pytest.raises(json.JSONDecodeError):
        work.forward(TOKENS, made)
    assert live.execute("SELECT to_regclass('tokens')").fetchall() == [(None,)]


def test_what_a_schema_takes_from_a_backup_is_void(
    server: Server, deployment: Any, live: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad migration has dropped the tokens and the hashes: they come back as the containment has left them."""

    @contextmanager
    def restored(_: object, name: str) -> Iterator[tuple[Server, Any]]:
        yield server, SimpleNamespace(database=name, at=datetime(2025, 12, 31, tzinfo=UTC))

    monkeypatch.setattr("rollback.containment.believed.restored", restored)
    change = asdict(Change(new_tables=["public.tokens"], new_columns={"public.users": ["password_hash"]}))
    facts = {"run": "run1", "backup": "backed_up", "change": change}
    schema._Procedure(deployment, facts)._lay_beside()  # noqa: SLF001 -- what the step carries out
    beside = "rollback_attic_values_run1"
    live.execute(f"SET search_path = {beside}".encode())
    tables = [str(row[0]) for row in live.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (beside,))]
    assert sorted(tables) == ["public.tokens", "public.users"]
    assert live.execute('SELECT count(*), count(revoked_at) FROM "public.tokens"').fetchall() == [(2, 2)]
    assert live.execute('SELECT count(*), count(password_hash) FROM "public.users"').fetchall() == [(3, 0)]


def test_a_hash_that_comes_back_is_set_aside_again(deployment: Any, live: Connection) -> None:
    """Whoever has set a new password since keeps it; the one of before is void however often it returns."""
    again(deployment, live)
    assert live.execute(RESET).fetchall() == [(1,), (2,), (3,)]
    live.execute("UPDATE users SET password_hash = 'of 1', must_reset_password = false WHERE id = 1")
    live.execute("UPDATE users SET password_hash = 'new', must_reset_password = false WHERE id = 2")
    again(deployment, live)
    assert live.execute(RESET).fetchall() == [(1,), (3,)]
    flagged = live.execute("SELECT id FROM users WHERE must_reset_password ORDER BY id").fetchall()
    assert flagged == [(1,), (3,)]
