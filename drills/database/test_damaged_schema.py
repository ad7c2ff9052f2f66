"""Rollback Database Schema Only: the schema goes back to a recorded one with users at work, and no row is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.database import half_applied, used_is_gone
from fixtures.history import PATHS
from fixtures.operators import served_meanwhile
from fixtures.scenario import Scenario, carried_out

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.faults.database import DamagedDatabase
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Database Schema Only"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "schema", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (Allowed("rows *", "users went on working", expected=False),)
#: Jobs of before whose column was dropped: their values are the backup's again.
ATTEMPTS = "SELECT count(*) FROM segmentation_queue WHERE attempts > 0"
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
    attempts = case.stack.sql(ATTEMPTS)
    wide = case.stack.sql(TYPE.replace("%s", "'size_bytes'"))
    return [
        finding("values of the dropped column", attempts > 0, f"{attempts} jobs know how often they were tried"),
        finding("type", wide == "bigint", f"images.size_bytes is {wide}"),
    ]


@pytest.mark.drill(id="schema-from-backup", **FACTS)
def test_dropped_column_table_and_narrowed_type_come_back(drill: Bench) -> None:
    """A column and a table in use were dropped and a type narrowed: they come back, with values, and no row is lost."""
    drill(put_back(used_is_gone(), "latest", further=values_are_back))


@pytest.mark.drill(id="schema-half-applied", **FACTS)
def test_migration_that_was_applied_by_half_and_killed(drill: Bench) -> None:
    """A migration outside of a transaction was killed in the middle: the schema is the recorded release's again."""
    drill(put_back(half_applied(), GOOD))
