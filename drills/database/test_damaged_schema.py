"""Rollback Database Schema Only: the schema goes back to a recorded one with users at work, and no row is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.database import KEPT, DamagedDatabase, half_applied, used_is_gone
from fixtures.history import PATHS
from fixtures.operators import served_meanwhile
from fixtures.scenario import Scenario, carried_out

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Database Schema Only"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "schema", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (Allowed("rows *", "users went on working", expected=False),)
#: What of the noted can be there: users go on deleting.
THERE = """
    SELECT p.id::text || ' ' || u.id::text FROM projects p, users u UNION ALL
    SELECT id::text FROM segmentation_queue"""
TYPE = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'images'::regclass AND attname = %s"


def put_back(fault: DamagedDatabase, target: str, **more: object) -> Scenario:
    """The schema is damaged under users, and goes back to what was recorded."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
        "command": ("schema", target),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "operator": served_meanwhile(carried_out),
        "residue": RESIDUE,
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


def values_are_back(case: Case) -> list[Finding]:
    """What the dropped column held is there again, and the type is as wide as before."""
    fault = case.scenario.fault
    assert isinstance(fault, DamagedDatabase)
    with psycopg.connect(case.stack.dsn) as session:
        now = {str(name): value for name, value in session.execute(KEPT).fetchall()}
        there = {str(name) for (name,) in session.execute(THERE).fetchall()}
    wanted = {str(name): value for name, value in fault.noted if name in there}
    shares = sum(" " in name for name in wanted)
    wrong = [name for name, value in wanted.items() if now.get(name) != value]
    wide = case.stack.sql(TYPE.replace("%s", "'size_bytes'"))
    return [
        finding("there was something to lose", 0 < shares < len(wanted), f"{shares} shares of {len(wanted)} noted"),
        finding(
            "values of the backup", not wrong, f"{len(wrong)} of {len(wanted)} are not what they were: {wrong[:3]}"
        ),
        finding("type", wide == "bigint", f"images.size_bytes is {wide}"),
    ]


@pytest.mark.drill(id="schema-from-backup", **FACTS)
def test_dropped_column_table_and_narrowed_type_come_back(drill: Bench) -> None:
    """A column and a table in use were dropped and a type narrowed: they come back, with values, and no row is lost."""
    drill(put_back(used_is_gone(), "latest", further=values_are_back))


@pytest.mark.exhaustive("schema-from-backup has more to bring back")
@pytest.mark.drill(id="schema-half-applied", **FACTS)
def test_migration_that_was_applied_by_half_and_killed(drill: Bench) -> None:
    """A migration outside of a transaction was killed in the middle: the schema is the recorded release's again."""
    drill(put_back(half_applied(), GOOD))
