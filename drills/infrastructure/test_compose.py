"""Infrastructure Rollback / Docker Compose: the Compose files go back to a recorded release with users at work."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import docker
import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.composition import ADDED, FILE, KINDS, broken
from fixtures.operators import ended
from fixtures.scenario import AFTER_APPLICATION, Scenario
from fixtures.sweep import PROJECT, image_names
from fixtures.variations import each

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.infrastructure]

SECTION = "Infrastructure Rollback / Docker Compose Rollback"
OBJECTIVE = 120
REFUSED = 20
FACTS = {"section": SECTION, "procedure": "compose", "severity": "critical", "objective": OBJECTIVE}
HARDEST = "added"
RESIDUE = (
    *AFTER_APPLICATION,
    Allowed(f"volume *{ADDED}_data", "what the bad file added is set aside: nothing deletes a volume", expected=False),
)
#: No fault of a Compose file here has to do with them.
UNTOUCHED = ("db", "redis", "nginx-prod")


def only_what_changed(case: Case) -> list[Finding]:
    """The file is as recorded, nobody else was restarted, and what was added is gone with its volume kept."""
    recorded = (case.stack.checkout / ".rollback/releases" / GOOD / "files" / FILE).read_bytes()
    now, then = case.stack.container_ids(), case.worlds["steady"]
    restarted = [one for one in UNTOUCHED if then[f"id {one}"] != now.get(one)]
    return [
        finding("bytes", (case.stack.checkout / FILE).read_bytes() == recorded, f"{FILE} is not as recorded"),
        finding("untouched", not restarted, f"made anew without need: {restarted}"),
        *(_added(case) if case.scenario.fault.kind == "added" else []),  # type: ignore[attr-defined]
    ]


def _added(case: Case) -> list[Finding]:
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={case.stack.project}"}
    with closing(docker.from_env()) as client:
        left = [one.name for one in client.containers.list(all=True, filters=mine) if ADDED in str(one.name)]
        volumes = [one.name for one in client.volumes.list(filters=mine) if ADDED in str(one.name)]
        kept = [one for one in image_names(client) if f"{ADDED}:retired-" in one]
    needed = case.stack.rollback("volume", "drop", f"{case.stack.project}_uploads_data", "--yes")
    dropped = case.stack.rollback("volume", "drop", *map(str, volumes), "--yes")
    with closing(docker.from_env()) as client:
        now = [one.name for one in client.volumes.list(filters=mine)]
    uploads = f"{case.stack.project}_uploads_data" in now
    return [
        finding("added service gone", not left, f"{left} are left"),
        finding("added volume kept", len(volumes) == 1, f"{volumes}"),
        ended("a needed volume is not dropped", needed, REFUSED, "mounted by", "named by"),
        ended("what nothing needs can be dropped", dropped, 0),
        finding("dropped is gone, needed is there", uploads and not {*volumes} & {*now}, f"{now}"),
        finding("added service kept", any(case.stack.project in one for one in kept), f"{kept}"),
    ]


@each("kind", "compose", KINDS, FACTS, why="the way back is the same for each of them", always={HARDEST})
def test_compose_file_that_takes_a_service_away(drill: Bench, kind: str) -> None:
    """A Compose file with which a service does not run goes back, and nobody else is restarted."""
    drill(
        Scenario.back_to(
            GOOD,
            broken(kind),
            command=("compose", GOOD),
            objective=OBJECTIVE,
            residue=RESIDUE,
            blamed=(),
            further=only_what_changed,
            budget=Budget(during=0),
        )
    )
