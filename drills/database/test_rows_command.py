"""`rollback rows` on a whole deployment: damaged rows are the backup's again, and what users wrote since stays."""

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
    SELECT n || '@x.invalid', 'Zoë ' || n, 'x' FROM generate_series(1, 20) n"""
PROJECTS = "INSERT INTO projects (user_id, name) SELECT id, 'of ' || email FROM users"
DAMAGE = """
    UPDATE users SET name = 'garbage' WHERE email LIKE '1%';
    DELETE FROM users WHERE email IN ('2@x.invalid', '3@x.invalid')"""
SINCE = "INSERT INTO users (email, name, password_hash) VALUES ('new@x.invalid', 'since then', 'x')"
STATE = (
    "SELECT email, u.name, count(p.id) FROM users u LEFT JOIN projects p ON p.user_id = u.id GROUP BY 1, 2 ORDER BY 1"
)


@pytest.mark.exhaustive("rows-repaired does the same with users at work")
def test_damaged_and_lost_rows_come_back_with_their_children(stack: Stack) -> None:
    """Garbage is taken back, deleted users come back with their projects, and who signed up since stays."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    with psycopg.connect(stack.dsn, autocommit=True) as session:
        session.execute(PEOPLE.encode())
        session.execute(PROJECTS)
        sound = session.execute(STATE.encode()).fetchall()
        stack.rollback("backup", "take").check()
        session.execute(DAMAGE.encode())
        session.execute(SINCE)
        damaged = session.execute(STATE.encode()).fetchall()

        planned = stack.rollback("rows", "users", "--from", "latest", "--plan").check()
        assert session.execute(STATE.encode()).fetchall() == damaged
        assert "users" in planned.stdout

        stack.rollback("rows", "users", "--from", "latest", "--yes").check()
        now = session.execute(STATE.encode()).fetchall()
        assert [one for one in now if one[0] != "new@x.invalid"] == sound
        assert ("new@x.invalid", "since then", 0) in now
        assert stack.rollback("rows", "users", "--from", "latest", "--yes").status == NOTHING_TO_DO
        events = [json.loads(line) for line in (stack.checkout / ".rollback/journal.jsonl").read_text().splitlines()]
        assert [one["data"]["outcome"] for one in events if one["event"] == "end"] == ["done"]


@pytest.mark.exhaustive("rows-repaired does the same with users at work")
def test_a_finished_repair_can_be_taken_back(stack: Stack) -> None:
    """The rows of before come back as long as nobody has changed them since; afterwards they can be dropped."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    with psycopg.connect(stack.dsn, autocommit=True) as session:
        session.execute(PEOPLE.encode())
        session.execute(PROJECTS)
        stack.rollback("backup", "take").check()
        session.execute(DAMAGE.encode())
        damaged = session.execute(STATE.encode()).fetchall()
        assert stack.rollback("rows", "undo", "latest", "--yes").status == NOTHING_TO_DO
        stack.rollback("rows", "users", "--from", "latest", "--yes").check()
        repaired = session.execute(STATE.encode()).fetchall()
        assert repaired != damaged

        session.execute("UPDATE users SET name = 'mine since' WHERE email = '10@x.invalid'")
        refused = stack.rollback("rows", "undo", "latest", "--yes")
        assert (refused.status, "changed after they were repaired" in refused.stderr) == (REFUSED, True)
        session.execute("UPDATE users SET name = 'Zoë 10' WHERE email = '10@x.invalid'")
        assert session.execute(STATE.encode()).fetchall() == repaired

        stack.rollback("rows", "undo", "latest", "--yes").check()
        assert session.execute(STATE.encode()).fetchall() == damaged
        (kept,) = json.loads(stack.rollback("rows", "kept", "--json").check().stdout)["kept"]
        assert (kept["stands"], kept["tables"]["public.users"]["back"]) == (False, 2)
        stack.rollback("rows", "drop", kept["run"], "--yes").check()
        assert json.loads(stack.rollback("rows", "kept", "--json").check().stdout)["kept"] == []
        assert stack.rollback("rows", "undo", kept["run"], "--yes").status == REFUSED
