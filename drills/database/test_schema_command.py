"""`rollback schema` on a whole deployment: the schema of a backup or of a release, and nobody's rows are lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.database]

VERSION = "v4.0.0"
NOTHING_TO_DO, REFUSED = 10, 20
PEOPLE = """
    INSERT INTO users (email, name, password_hash)
    SELECT n || '@x.invalid', 'Zoë ' || n, 'x' FROM generate_series(1, 20) n;
    INSERT INTO projects (user_id, name) SELECT id, 'of ' || email FROM users;
    INSERT INTO project_shares (project_id, user_id, role) SELECT id, user_id, 'editor' FROM projects"""
DAMAGE = """
    INSERT INTO schema_migrations (version, name, checksum) VALUES ('099', '099_late.sql', 'x');
    ALTER TABLE users DROP COLUMN last_login_at, ADD COLUMN quota int NOT NULL DEFAULT 7;
    ALTER TABLE projects DROP COLUMN user_id;
    DROP TABLE project_shares;
    DROP INDEX images_project_id_idx;
    CREATE TABLE left_behind (id serial PRIMARY KEY, what text);
    INSERT INTO left_behind (what) VALUES ('x');
    GRANT ALL ON users TO public"""
SINCE = "INSERT INTO users (email, name, password_hash) VALUES ('new@x.invalid', 'since then', 'x')"
STATE = """
    SELECT u.email, u.name, p.name, s.role FROM users u JOIN projects p ON p.user_id = u.id
    JOIN project_shares s ON s.project_id = p.id ORDER BY 1"""
LEFT = """
    DROP INDEX images_project_id_idx;
    ALTER TABLE users ADD COLUMN quota int;
    ALTER TABLE users ALTER name TYPE varchar(200);
    CREATE VIEW emails AS SELECT email FROM users"""


@pytest.mark.exhaustive("schema-from-backup does the same with users at work")
def test_the_schema_of_a_backup_and_of_a_release_comes_back(stack: Stack) -> None:
    """From a backup with its values, from a release by its record; the plan touches nothing, a second run neither."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    with psycopg.connect(stack.dsn, autocommit=True) as session:
        session.execute(PEOPLE.encode())
        session.execute("UPDATE users SET last_login_at = '2026-01-01'")
        sound = session.execute(STATE.encode()).fetchall()
        stack.rollback("release", "record", VERSION, "--yes").check()
        stack.rollback("backup", "take").check()
        session.execute(DAMAGE.encode())
        session.execute(SINCE)

        planned = stack.rollback("schema", "latest", "--plan", "--json").check()
        told = json.loads(planned.stdout)
        assert "DROP TABLE public.left_behind;" in told["statements"]
        assert any("1 rows are newer than the backup" in note for note in told["notes"])
        assert session.execute("SELECT to_regclass('project_shares')").fetchone() == (None,)

        stack.rollback("schema", "latest", "--yes").check()
        assert session.execute(STATE.encode()).fetchall() == sound
        assert session.execute("SELECT count(*), count(last_login_at) FROM users").fetchone() == (21, 20)
        assert session.execute("SELECT count(*) FROM schema_migrations WHERE version = '099'").fetchone() == (0,)
        assert stack.rollback("schema", "latest", "--yes").status == NOTHING_TO_DO
        assert stack.rollback("schema", VERSION, "--yes").status == NOTHING_TO_DO

        session.execute(LEFT.encode())
        stack.rollback("schema", VERSION, "--yes").check()
        assert session.execute(STATE.encode()).fetchall() == sound
        assert stack.rollback("schema", "latest", "--yes").status == NOTHING_TO_DO

        session.execute("ALTER TABLE projects DROP COLUMN user_id")
        refused = stack.rollback("schema", VERSION, "--yes")
        assert refused.status == REFUSED
        assert "20 rows of public.projects would have no value in user_id" in refused.stderr
        stack.rollback("schema", "latest", "--yes").check()
        assert session.execute(STATE.encode()).fetchall() == sound


@pytest.mark.exhaustive("kills of a repair and of a restore are always drilled")
def test_killed_after_the_commit_it_is_taken_back_or_gone_on_with(stack: Stack) -> None:
    """The journal has no word of the end: abort brings the schema of before back with its values, resume goes on."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    journal = stack.checkout / ".rollback/journal.jsonl"
    with psycopg.connect(stack.dsn, autocommit=True) as session:
        session.execute(PEOPLE.encode())
        sound = session.execute(STATE.encode()).fetchall()
        stack.rollback("backup", "take").check()
        session.execute(DAMAGE.encode())
        stack.rollback("schema", "latest", "--yes").check()
        lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
        journal.write_text("".join(lines[:-2]), encoding="utf-8")

        stack.rollback("abort", "--yes").check()
        assert session.execute("SELECT what FROM left_behind").fetchall() == [("x",)]
        assert session.execute("SELECT count(*) FROM users WHERE quota = 7").fetchone() == (20,)
        assert session.execute("SELECT to_regclass('project_shares')").fetchone() == (None,)
        assert session.execute("SELECT name FROM schema_migrations WHERE version = '099'").fetchone() == (
            "099_late.sql",
        )

        stack.rollback("schema", "latest", "--yes").check()
        lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
        journal.write_text("".join(lines[:-2]), encoding="utf-8")
        stack.rollback("resume", "--yes").check()
        assert session.execute(STATE.encode()).fetchall() == sound
        assert stack.rollback("schema", "latest", "--yes").status == NOTHING_TO_DO
