"""Rollback Automation: a bad release is rolled back by nobody's hand, and the rollback is not rolled back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.operators import ended
from fixtures.scenario import AFTER_APPLICATION, OBJECTIVE, Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.automation]

REFUSED, ROLLED_BACK = 20, 60
SERVER_FAULT = 500
SHORT = "[watch]\nseconds = 60\ninterval = 1\nwindow_seconds = 3\nrequests = 20\n\n"


def watched_shortly(drill: Drill) -> None:
    """Windows of a drill's length; the limits are the ones that are shipped."""
    path = drill.stack.checkout / "rollback.toml"
    text, count = re.subn(
        r"^\[watch\].*?(?=^\[)", SHORT, path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert count == 1
    path.write_text(text, encoding="utf-8")


def watched(drill: Drill) -> Outcome:
    """The watch, and a second one that must not roll back the rollback."""
    outcome = drill.stack.rollback("watch", "--to", GOOD)
    again = drill.stack.rollback("watch", "--to", "last-good")
    drill.findings.append(ended("a rollback is not rolled back", again, REFUSED, "was put there by the rollback"))
    return outcome


def bad_time(case: Case) -> list[Finding]:
    """From the first bad request to the last: what the users had of the bad release."""
    bad = [one.done for one in case.history.requests if (one.status or 0) == SERVER_FAULT]
    took = max(bad) - min(bad) if bad else 0.0
    return [finding("bad requests", 0 < took < OBJECTIVE, f"{len(bad)} bad requests in {took:.1f} s")]


@pytest.mark.drill(
    id="automation-watch",
    section="Rollback Automation",
    procedure="automation",
    severity="critical",
    objective=OBJECTIVE,
)
def test_bad_release_is_found_and_rolled_back(drill: Bench) -> None:
    """A third of the requests fail behind a green health check: the watch notices, and goes back."""
    drill(
        Scenario.back_to(
            GOOD,
            candidates.errors(),
            command=("watch", "--to", GOOD),
            operator=watched,
            exit=ROLLED_BACK,
            settles=False,
            said=("windows were bad",),
            before_command=watched_shortly,
            further=bad_time,
            residue=(*AFTER_APPLICATION, Allowed("file rollback.toml", "shorter windows for the drill")),
        )
    )
