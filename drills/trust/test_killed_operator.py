"""The operator's machine dies in the middle of `rollback application`: nobody is left half switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.operators import KilledOperator
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.history import PathName

pytestmark = [pytest.mark.engine, pytest.mark.trust, pytest.mark.application]

FACTS = {
    "section": "Application Rollback / Interrupted",
    "procedure": "application",
    "severity": "critical",
    "objective": 300,
}
STEPS = {
    "started": "v4.0.0 started beside",
    "recorded": "state before recorded",
    "moved": "users served by v4.0.0",
    "pinned": "files and image names",
    "retired": "replaced containers stopped",
    "composed": "v4.0.0 runs as Compose's own services",
    "removed": "stand-ins drained and removed",
}
RESUMED = [
    pytest.param(step, id=name, marks=pytest.mark.drill(id=f"killed-{name}", **FACTS)) for name, step in STEPS.items()
]
TAKEN_BACK = (
    Allowed("file nginx/upstream.conf", "the edge's generation marker is a new one; the servers are the same"),
    Allowed("image rollback/*:retired-*", "what had been stopped was kept", expected=False),
    Allowed("rows *", "users went on working", expected=False),
)


@pytest.mark.parametrize("step", RESUMED)
def test_killed_and_resumed(drill: Bench, step: str) -> None:
    """Killed in the course of a step, `rollback resume` reaches the end that an undisturbed run reaches."""
    drill(Scenario.back_to(GOOD, candidates.polygons(), operator=KilledOperator(step, "resume")))


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(STEPS[name], id=name, marks=pytest.mark.drill(id=f"aborted-{name}", **FACTS))
        for name in ("moved", "composed")
    ],
)
def test_killed_and_taken_back(drill: Bench, step: str) -> None:
    """Killed in the course of a step, `rollback abort` brings back what ran before, and users notice nothing."""
    fault = candidates.polygons()
    before: dict[PathName, str] = dict.fromkeys(("read", "write", "frontend"), fault.version)
    operator = KilledOperator(step, "abort")
    drill(
        Scenario.back_to(
            GOOD,
            fault,
            serves=before,
            operator=operator,
            settles=False,
            reference="before the command",
            residue=TAKEN_BACK,
        )
    )
