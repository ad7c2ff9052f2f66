"""Data Corruption Recovery: damaged and lost rows come back from a backup while users go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.rows import GARBAGE, LEFT, DamagedRows, every_kind, garbage
from fixtures.history import PATHS
from fixtures.operators import Kill, KilledOperator, served_meanwhile
from fixtures.scenario import Scenario
from fixtures.variations import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.database, pytest.mark.emergency]

SECTION = "Emergency Procedures / Data Corruption Recovery"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "rows", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (Allowed("rows *", "users went on working", expected=False),)
FROM = ("--from", "latest")
#: What the operator types one after the other; what was changed since the backup is only overwritten where he says so.
COMMANDS = (
    ("rows", "users", *FROM),
    ("rows", "projects", *FROM),
    ("rows", "projects", *FROM, "--overwrite", "--where", f"name LIKE '{GARBAGE}%'"),
    ("rows", "images", *FROM),
)
KILLS = {
    "laying": ("rows of the backup laid beside", "resume"),
    "repairing": ("rows repaired", "abort"),
}


def repaired(fault: DamagedRows, operator: Callable[[Drill], Outcome], **more: object) -> Scenario:
    """Rows are damaged after a backup, and put back from it."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "operator": served_meanwhile(operator),
        "residue": RESIDUE,
        # users delete what is in the backup: the same command again would bring it back
        "settles": False,
        "further": nothing_damaged,
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


def table_after_table(drill: Drill) -> Outcome:
    """The operator goes from parents to children, and reads what the plan leaves."""
    for words in COMMANDS:
        outcome = drill.stack.rollback(*words, "--yes")
        if words is not COMMANDS[-1]:
            good = outcome.status == 0 and "Traceback" not in outcome.stderr
            told = f"exit {outcome.status}: {(outcome.stdout + outcome.stderr)[-600:]}"
            drill.findings.append(finding(" ".join(words[:2] + words[4:5]), good, told))
        drill.findings += changed_since_is_left(drill, outcome) if words is COMMANDS[1] else []
    return outcome


def changed_since_is_left(drill: Drill, outcome: Outcome) -> list[Finding]:
    """The plan says that rows stay which say that they were changed since the backup, and they do."""
    left = drill.stack.sql(LEFT["garbage"])
    told = "changed since the backup are left as they are" in outcome.stdout + outcome.stderr
    return [finding("changed since the backup is left", told and left > 0, f"{left} left, told: {told}")]


def nothing_damaged(case: Case) -> list[Finding]:
    """Each kind of damage was really done, and of none is anything left."""
    fault = case.scenario.fault
    assert isinstance(fault, DamagedRows)
    left = {kind: case.stack.sql(asked) for kind, asked in LEFT.items()}
    return [
        *(finding(f"damage done: {kind}", n > 0, "no row was damaged in this way") for kind, n in fault.done.items()),
        *(finding(f"damage left: {kind}", n == 0, f"{n} rows are still damaged") for kind, n in left.items()),
    ]


@pytest.mark.monthly
@pytest.mark.gate
@pytest.mark.drill(id="rows-repaired", brings=("rows",), **FACTS)
def test_every_kind_of_damage_is_repaired(drill: Bench) -> None:
    """Garbage, NULLs, swapped keys, corrupt dates and lost rows come back from a backup; nothing newer is written."""
    drill(repaired(every_kind(), table_after_table, command=COMMANDS[-1]))


@pytest.mark.trust
@each(
    "name",
    "rows-killed",
    KILLS,
    FACTS,
    why="while rows are laid beside, nothing of the live tables is written yet",
    always={"repairing"},
)
def test_operator_killed_in_the_repair(drill: Bench, name: str) -> None:
    """Killed in the course of a step, all rows are repaired or none; somebody else goes on, or takes it back first."""
    step, then = KILLS[name]

    def killed(one: Drill) -> Outcome:
        outcome = KilledOperator(Kill(step), then)(one)
        if then == "resume":
            return outcome
        one.findings.append(finding("taken back", outcome.good, outcome.stderr))
        return one.stack.rollback(*one.scenario.command, "--yes")

    drill(repaired(garbage(), killed, command=COMMANDS[1]))
