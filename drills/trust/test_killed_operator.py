"""The operator's machine dies in the middle of `rollback application`: nobody is left half switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.halfway import (
    files_back_names_not,
    names_elsewhere,
    some_services_recreated,
    some_standins,
    upstream_not_loaded,
)
from fixtures.operators import Kill, KilledAndTakenBack, KilledOperator
from fixtures.scenario import Scenario
from fixtures.variations import each

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
KILLS = {
    "started": Kill("v4.0.0 started beside", some_standins),
    "recorded": Kill("state before recorded"),
    "moved": Kill("users served by v4.0.0", upstream_not_loaded),
    "pinned": Kill("files and image names", files_back_names_not),
    "retired": Kill("replaced containers stopped"),
    "composed": Kill("v4.0.0 runs as Compose's own services", some_services_recreated),
    "home": Kill("users served by Compose's own services"),
    "removed": Kill("stand-ins drained and removed"),
}
#: The hardest of them: most is half there when the kill comes.
HARDEST = "composed"
RESUMED = ("started", "recorded", "moved", "pinned", "retired", "composed", "removed")
ABORTED = ("moved", "composed", "home")
TAKEN_BACK = (
    Allowed("file nginx/upstream.conf", "the edge's generation marker is a new one; the servers are the same"),
    Allowed("image rollback/*:retired-*", "what had been stopped was kept", expected=False),
    Allowed("rows *", "users went on working", expected=False),
)


@each("name", "killed", RESUMED, FACTS, why="it is the step in which most can be half done", always={HARDEST})
def test_killed_and_resumed(drill: Bench, name: str) -> None:
    """Killed in the course of a step, `rollback resume` reaches the end that an undisturbed run reaches."""
    operator = KilledOperator(KILLS[name], "resume")
    drill(Scenario.back_to(GOOD, candidates.polygons(), operator=operator, before_command=names_elsewhere))


@each("name", "aborted", ABORTED, FACTS, why="rows-killed-repairing is always taken back after a kill")
def test_killed_and_taken_back(drill: Bench, name: str) -> None:
    """Killed in the course of a step, `rollback abort` brings back what ran before, and users notice nothing."""
    fault = candidates.polygons()
    before: dict[PathName, str] = dict.fromkeys(("read", "write", "frontend"), fault.version)
    drill(
        Scenario.back_to(
            GOOD,
            fault,
            serves=before,
            operator=KilledOperator(KILLS[name], "abort"),
            settles=False,
            reference="before the command",
            residue=TAKEN_BACK,
        )
    )


@pytest.mark.exhaustive("aborted-home is taken back from further on")
@pytest.mark.drill(id="aborted-to-crash", **FACTS)
def test_taken_back_to_the_release_that_dies(drill: Bench) -> None:
    """An abort to the release that dies ends in a state that it names, and the way to the target stays open."""
    drill(Scenario.back_to(GOOD, candidates.crash(), operator=KilledAndTakenBack(KILLS["retired"])))
