"""Rollback Automation: a bad release is rolled back by nobody's hand, and the rollback is not rolled back."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker
import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.drill import MachineryError
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.release import BadRelease
from fixtures.history import PATHS
from fixtures.operators import LIMIT_SECONDS, POLL_SECONDS, ended, served_meanwhile
from fixtures.scenario import AFTER_APPLICATION, OBJECTIVE, Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.history import Request
    from fixtures.stack import Stack
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.automation]

REFUSED, ROLLED_BACK = 20, 60
SERVER_FAULT = 500
OLD = "v3.9.0"
_GONE = (502, 504)
#: Looks of the watch before it is disturbed: some windows are full and good.
GOOD_SAMPLES = 12
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


@pytest.mark.gate
@pytest.mark.drill(
    id="automation-watch",
    section="Rollback Automation",
    procedure="automation",
    severity="critical",
    objective=OBJECTIVE,
    brings=("images",),
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


@dataclass
class Upgrade(BadRelease):
    """A good release over the one before, whose backend is once gone for a moment while it is watched."""

    blips: int = 0

    def blip(self, stack: Stack) -> None:
        """The backend dies and is back at once."""
        with self._deployment(), closing(docker.from_env()) as client:
            client.containers.get(stack.container_ids()["backend"]).restart(timeout=0)
            stack.await_backend()
        self.blips += 1

    def owns(self, request: Request) -> bool:
        """What the edge says while nobody is behind it."""
        return request.release is None and request.status in (None, *_GONE) and self._interrupted(request)


def a_blip_meanwhile(drill: Drill) -> Outcome:
    """The watch runs, and after some good windows the backend is gone for a moment."""
    upgrade, stack = drill.scenario.fault, drill.stack
    assert isinstance(upgrade, Upgrade)
    with ThreadPoolExecutor(1) as pool:
        watch = pool.submit(stack.rollback, "watch", "--to", OLD)
        deadline = time.monotonic() + LIMIT_SECONDS
        while not _samples(drill) >= GOOD_SAMPLES:
            if watch.done() or time.monotonic() > deadline:
                raise MachineryError("the watch did not look often enough to be disturbed")
            time.sleep(POLL_SECONDS)
        upgrade.blip(stack)
        return watch.result()


def _samples(drill: Drill) -> int:
    memory = drill.stack.checkout / ".rollback/watch.jsonl"
    return len(memory.read_text(encoding="utf-8").splitlines()) if memory.exists() else 0


def left_alone(case: Case) -> list[Finding]:
    """Users met the blip, and nothing was rolled back."""
    fault = case.scenario.fault
    met = [one for one in case.history.requests if not one.ok and one.release is None and one.status in _GONE]
    begun = [line for line in case.journal().splitlines() if '"event": "begin"' in line or '"event":"begin"' in line]
    return [
        finding("the blip was met", bool(met) and getattr(fault, "blips", 0) == 1, f"{len(met)} requests met it"),
        finding("left alone", not begun, f"{len(begun)} runs were begun"),
    ]


@pytest.mark.exhaustive("every series of the classifier has its unit test, this one live")
@pytest.mark.drill(
    id="automation-left-alone", section="Rollback Automation", procedure="automation", severity="critical",
    objective=None,
)  # fmt: skip
def test_good_release_is_left_alone(drill: Bench) -> None:
    """A good release with one blip is watched to the end and left alone."""
    story = f"{GOOD} is deployed over {OLD} and is good. Once its backend dies and is back at once."
    upgrade = Upgrade(GOOD, OLD, story, lambda sample: sample.release == GOOD)
    drill(
        Scenario.back_to(
            OLD,
            upgrade,
            command=("watch", "--to", OLD),
            operator=served_meanwhile(a_blip_meanwhile),
            serves=dict.fromkeys(PATHS, GOOD),
            settles=False,
            objective=None,
            said=("healthy",),
            before_command=watched_shortly,
            further=left_alone,
            reference="before the command",
            residue=(Allowed("rows *", "users went on working", expected=False),),
        )
    )
