"""Application Rollback / Quick Rollback: ways back that are longer, or in worse shape, than hoped for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import world
from fixtures.bystander import bystander
from fixtures.checks.residue import Allowed, residue
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.runs import LABEL
from fixtures.scenario import AFTER_APPLICATION, OBJECTIVE, Scenario
from fixtures.verdict import Finding, Verdict
from rollback.database import disposable

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.application]

OLD = "v3.9.0"
SECTION = "Application Rollback / Quick Rollback (Docker)"
FACTS = {"section": SECTION, "procedure": "application", "objective": OBJECTIVE}
DRILL_LABELS = (LABEL.rpartition(".")[0], disposable.LABEL)
LEAST_WRITES = 5

PINNED = tuple(Allowed(name, "v3.9.0 runs now instead of v4.0.0") for name in ("file .env", "container [bfm]*"))
REBUILT = (
    Allowed("image *:v4.0.0", "rebuilt from the git tag: equal sources, another ID"),
    Allowed("container [bfm]*", "runs the rebuilt image"),
)


def written_by_both(case: Case) -> list[Finding]:
    """Users of both releases wrote something that could have been lost."""
    acknowledged = [one.release for one in case.history.writes if one.outcome == "acknowledged"]
    counts = {version: acknowledged.count(version) for version in (OLD, GOOD)}
    enough = min(counts.values()) >= LEAST_WRITES
    verdict = Verdict.PASS if enough else Verdict.INCONCLUSIVE
    return [Finding("data of both releases", verdict, f"acknowledged writes by release: {counts}")]


@pytest.mark.exhaustive("the way back is that of application-rebuilt")
@pytest.mark.drill(id="application-two-back", severity="critical", **FACTS)
def test_two_releases_back(drill: Bench) -> None:
    """From v4.1.0 over v4.0.0 to v3.9.0: what users of all three wrote is still there."""
    drill(
        Scenario.back_to(
            OLD,
            candidates.errors(),
            releases=(OLD, GOOD),
            further=written_by_both,
            residue=(*AFTER_APPLICATION, *PINNED),
        )
    )


def pruned(drill: Drill) -> None:
    """Somebody tidied up: no name and no ID of the target's images is left on the engine."""
    drill.stack.prune(GOOD)


@pytest.mark.exhaustive("the way back is that of application-crash")
@pytest.mark.drill(id="application-rebuilt", severity="critical", **FACTS)
def test_pruned_image_is_rebuilt_from_its_tag(drill: Bench) -> None:
    """The target's images are gone; they are rebuilt from the git tag, and the running tree is not touched."""
    residue = (*AFTER_APPLICATION, *REBUILT)
    drill(Scenario.back_to(GOOD, candidates.polygons(), before_command=pruned, unique_images=True, residue=residue))


@pytest.mark.exhaustive("the way back is that of application-crash")
@pytest.mark.drill(id="application-fixed-name", severity="normal", **FACTS)
def test_services_that_forbid_two_copies(drill: Bench) -> None:
    """A backend with a fixed container name and a published port is rolled back without stopping users."""
    lines = ('container_name: "{project}-the-backend"', 'ports: ["127.0.0.1::5001"]')
    drill(Scenario.back_to(GOOD, candidates.errors(), overrides={"backend": lines}, further=told_of_the_port))


def told_of_the_port(case: Case) -> list[Finding]:
    """The plan says who will find the port closed."""
    told = "backend publishes 127.0.0.1:" in case.plan
    return [Finding("plan names the port", Verdict.PASS if told else Verdict.FAIL, case.plan[-600:])]


@pytest.mark.exhaustive("recovered-everything has a neighbour as well")
@pytest.mark.drill(id="application-bystander", severity="blocker", **FACTS)
def test_other_projects_on_the_host_are_not_touched(drill: Bench, tmp_path: Path) -> None:
    """Another project's containers, images and volumes on the same engine are what they were, throughout."""

    def untouched(_: Case) -> list[Finding]:
        after = world.bystanders(drill.stack.project, *DRILL_LABELS)
        there = sum(name in key for key in before)
        enough = Finding("a bystander was there", Verdict.PASS if there else Verdict.INCONCLUSIVE, f"{there} things")
        return [enough, residue(before, after, (), "bystander untouched")]

    with bystander(tmp_path) as name:
        before = world.bystanders(drill.stack.project, *DRILL_LABELS)
        drill(Scenario.back_to(GOOD, candidates.crash(), further=untouched))
