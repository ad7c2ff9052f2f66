"""Complete System Failure: the deployment is rebuilt from a full backup, and what is lost is what was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import cutover
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults import disaster
from fixtures.faults.candidates import GOOD
from fixtures.history import PATHS
from fixtures.scenario import Scenario, carried_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.faults.disaster import Disaster

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.emergency]

SECTION = "Emergency Procedures / Complete System Failure"
#: Seconds to recovery that the runbook promises for a critical issue.
OBJECTIVE = 1800
FACTS = {"section": SECTION, "procedure": "recover", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("rows *", "users went on working, or what they wrote last is gone", expected=False),
    Allowed("volume *_kept-*", "the damaged data directory is evidence", expected=False),
    Allowed("image rollback/*", "what was left is kept for the post-mortem", expected=False),
)
#: Images of their own for everything, so that they can be gone without harm to anybody else.
OWN = {
    "db": ("image: spheroseg-drill/{project}/db:15",),
    "redis": ("image: spheroseg-drill/{project}/redis:7",),
    "nginx-prod": ("image: spheroseg-drill/{project}/nginx:1",),
}


def down_meanwhile(operator: Callable[[Drill], Outcome]) -> Callable[[Drill], Outcome]:
    """Until the command has ended nobody is served, and afterwards users that came after the backup are not known."""

    def at_it(drill: Drill) -> Outcome:
        for name in (cutover.BEGUN, cutover.OUTAGE):
            drill.recorder.mark(name)
        outcome = operator(drill)
        for name in (cutover.SWITCHED, cutover.OVER):
            drill.recorder.mark(name)
        return outcome

    return at_it


def recovered(fault: Disaster, **more: object) -> Scenario:
    """What is gone comes back."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
        "command": ("recover",),
        "operator": down_meanwhile(carried_out),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "outage": "nobody is served until it is rebuilt",
        "sessions_end": "who signed up or in after the backup is not in it",
        "budget": Budget(during=0, gap=15.0),
        "residue": RESIDUE,
        "ruins": True,
        "forgets": fault.forgotten,
        "unique_images": True,
        "overrides": OWN,
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


@pytest.mark.drill(id="recovered-everything", **FACTS)
def test_everything_is_gone(drill: Bench, tmp_path: Path) -> None:
    """Nothing but the checkout is left: all of it comes back from the newest archive, and a neighbour is untouched."""
    drill(recovered(disaster.everything_gone(), said=("users can sign in, read and write",)))
