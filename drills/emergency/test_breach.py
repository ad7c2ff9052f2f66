"""Security Breach Response: an intruder is shut out for good, and nothing of his stays.

Whatever the reference deployment gives out is tried again from outside: access tokens, stolen and forged, refresh
tokens, the database's password, a role of his own, the TLS key. It has no session cookie and no API key to try: a
session is a key in Redis that only a token leads to, and programs sign in as users do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures import breach
from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.intrusion import Intrusion
from fixtures.history import PATHS
from fixtures.operators import REFUSED, ended
from fixtures.scenario import NOTHING_TO_DO, Scenario, carried_out

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    Allowed("file certbot/conf/live/spheroseg/*", "a certificate with another key"),
    Allowed("edge certificate", "a certificate with another key"),
    Allowed("id *", "every service was made anew", expected=False),
)
PATIENCE = 90.0
#: Deployed after the breach; the way back from it leads to the release of before the breach.
NEXT = candidates.polygons().version


def since_then(drill: Drill) -> None:
    """The operator knows when the intruder came in, and has had a certificate issued for a new key."""
    fault = drill.scenario.fault
    assert isinstance(fault, Intrusion)
    words = (*drill.scenario.command, *breach.issued(drill), "--compromised-at", fault.at)
    drill.scenario = replace(drill.scenario, command=words)


def contained(drill: Drill) -> Outcome:
    """The operator types the command; afterwards the drill goes on with the new secrets."""
    outcome = carried_out(drill)
    breach.learned(drill.stack)
    return outcome


def contained_and_rolled_back(drill: Drill) -> Outcome:
    """Weeks later somebody rolls back this and that, each to something that is older than the breach."""
    outcome = contained(drill)
    refused = drill.stack.rollback("certificates", GOOD, "--yes")
    drill.findings.append(ended("the stolen key is not put back", refused, REFUSED, "its key was revoked on"))
    (backup,) = (one.name for one in (drill.stack.checkout / ".rollback/backups").glob("2*Z-*"))
    drill.stack.deploy(NEXT)
    breach.prepared(drill)
    rolled_back(drill, "application", GOOD)
    with (drill.stack.checkout / ".env").open("a", encoding="utf-8") as file:
        file.write("SPHEROSEG_NOTE=tried something\n")
    for words in (("environment", GOOD), ("database", backup, "--stale"), ("rows", "users", "--from", backup)):
        rolled_back(drill, *words)
    return outcome


def rolled_back(drill: Drill, *words: str) -> None:
    """It was carried out: what is refused would prove nothing."""
    done = drill.stack.rollback(*words, "--yes")
    good = done.status == 0 or (words[0] == "rows" and done.status == NOTHING_TO_DO)
    told = f"exit {done.status}: {(done.stdout + done.stderr)[-800:]}"
    drill.findings.append(finding(f"{words[0]} rolled back", good, told))


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


@pytest.fixture
def intrusion() -> Iterator[Intrusion]:
    """He is ended with the drill, however that ends."""
    one = Intrusion()
    yield one
    one.end()


def breached(fault: Intrusion, **more: object) -> Scenario:
    """Somebody is inside, and is contained."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
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
def test_intruder_is_shut_out(drill: Bench, intrusion: Intrusion) -> None:
    """An intruder with tokens, a password and a role of his own loses every way in and out; nothing of his stays."""
    drill(breached(intrusion))


@pytest.mark.exhaustive  # what keeps the hole shut has unit tests
@pytest.mark.drill(id="breach-not-reopened", **FACTS)
def test_later_rollbacks_do_not_open_the_hole_again(drill: Bench, intrusion: Intrusion) -> None:
    """Application, env files, database and rows go back to before the breach: nothing revoked is good again."""
    drill(breached(intrusion, operator=contained_and_rolled_back, blamed=(NEXT,)))
