"""Security Breach Response: an intruder is shut out for good, and nothing of his stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures import breach
from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.intrusion import Intrusion
from fixtures.history import PATHS
from fixtures.scenario import Scenario, carried_out

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.emergency]

SECTION = "Emergency Procedures / Security Breach Response"
#: Seconds to recovery that the runbook promises for an emergency.
OBJECTIVE = 1800
FACTS = {"section": SECTION, "procedure": "contain", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("database spheroseg_before_*", "the database of before is evidence: kept, and shut"),
    Allowed("rows *", "users went on working", expected=False),
    Allowed("file .env", "new secrets"),
    Allowed("file packages/backend/.env", "new secrets"),
    Allowed("id *", "every service was made anew", expected=False),
)
PATIENCE = 90.0


def since_then(drill: Drill) -> None:
    """The operator knows when the intruder came in."""
    fault = drill.scenario.fault
    assert isinstance(fault, Intrusion)
    drill.scenario = replace(drill.scenario, command=("contain", "--compromised-at", fault.at))


def contained(drill: Drill) -> Outcome:
    """The operator types the command; afterwards the drill goes on with the new secrets."""
    outcome = carried_out(drill)
    breach.learned(drill.stack)
    return outcome


def all_of_it(case: Case) -> list[Finding]:
    """Every promise of the section."""
    fault = case.scenario.fault
    assert isinstance(fault, Intrusion)
    fault.end()
    before = case.stack.container_ids()
    up = case.stack.compose("up", "-d")
    return [
        *breach.shut_out(case),
        *breach.nothing_planted(case),
        *breach.evidence(case, breach.key_of(case.stack)),
        *breach.nothing_told(case),
        finding("plain up changes nothing", up.good and before == case.stack.container_ids(), up.stderr[-600:]),
    ]


def breached(**more: object) -> Scenario:
    """Somebody is inside, and is contained."""
    usual = {
        "releases": (GOOD,),
        "fault": Intrusion(),
        "command": ("contain",),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "arranged": breach.prepared,
        "before_command": since_then,
        "operator": contained,
        "outage": "the deployment is shut while it is cleaned",
        "sessions_end": "every session of before is void",
        "settles": False,
        "residue": RESIDUE,
        "further": all_of_it,
        "patience": PATIENCE,
        "budget": Budget(during=0),
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


@pytest.mark.drill(id="breach-contained", **FACTS)
def test_intruder_is_shut_out(drill: Bench) -> None:
    """An intruder with tokens, a password and a role of his own loses every way in and out; nothing of his stays."""
    drill(breached())
