"""Rollback with Zero Downtime (Blue-Green): users move to the other colour, and zero means zero."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker
import pytest

from fixtures import cutover, edge, switching
from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.checks.zero import broken, zero
from fixtures.faults.candidates import GOOD, INTERNAL_ERROR, UNREACHABLE
from fixtures.faults.release import BadRelease
from fixtures.operators import LIMIT_SECONDS, POLL_SECONDS, struck
from fixtures.scenario import Scenario
from fixtures.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill
    from fixtures.history import Request, Sample
    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.application]

SECTION = "Application Rollback / Rollback with Zero Downtime (Blue-Green)"
OBJECTIVE = 300
FACTS = {"section": SECTION, "procedure": "switch", "severity": "critical"}
#: Its backend is sound; the release has to go all the same.
BLUE = "v4.1.0-polygons"
ILL = "v4.1.0-errors"
CONTROLS = {"control: at once": switching.at_once, "control: runbook": switching.as_in_the_runbook}
#: Bytes of a request that come one a second: longer than the watching, shorter than the drain's limit.
DRIPS = 35
RESIDUE = (
    Allowed("file nginx/upstream.conf", "the edge leads to the other colour"),
    Allowed("container backend-green*", "the other colour runs"),
    Allowed("container *", "blue was stopped and made anew by the negative controls", expected=False),
    Allowed("rows *", "users went on working", expected=False),
)


@dataclass
class Withdrawn(BadRelease):
    """A release that has to go; what the other colour runs has errors of its own, if it is not the good one.

    Attributes:
        other: what the other colour runs.
        cut: something is killed or restarted while users are moved.
    """

    other: str = GOOD
    cut: bool = False

    def owns(self, request: Request) -> bool:
        """A 500 of the other colour; what nobody answers, if somebody pulled a plug."""
        nobody = self.cut and request.release is None and request.status in (None, *UNREACHABLE)
        return nobody or (request.release == self.other != GOOD and request.status == INTERNAL_ERROR)

    def explains(self, request: Request) -> bool:
        """The deployment of blue, and the same."""
        return self._interrupted(request) or self.owns(request)


def withdrawn(green: str, *, cut: bool = False) -> Withdrawn:
    """The API of the new release is withdrawn; the other colour is to serve."""
    story = f"The API of {BLUE} answers, and was released without its approval. The other colour runs {green}."

    def served(sample: Sample) -> bool:
        return sample.release == BLUE and sample.path in ("read", "write")

    return Withdrawn(BLUE, GOOD, story, served, other=green, cut=cut)


def switched(green: str, *, cut: bool = False, **more: object) -> Scenario:
    """Users go from blue to green."""
    usual = {
        "command": ("switch", "green"),
        "before_command": lambda one: switching.green_is(one.stack, green),
        "reference": "before the command",
        "residue": RESIDUE,
        "blamed": (BLUE,),
    }
    return Scenario.back_to(GOOD, withdrawn(green, cut=cut), **{**usual, **more})


def zero_downtime(case: Case, drill: Bench) -> list[Finding]:
    """To blue and to green again under 200 requests a second; then the two ways that must break requests."""
    stack, took = case.stack, []
    load = switching.OpenLoop.of(stack, drill.folder)
    with load.running() as events:
        for colour in ("blue", "green"):
            started = time.monotonic()
            done = stack.rollback("switch", colour, "--yes")
            took.append(time.monotonic() - started)
            if done.status != 0:
                return [finding(f"switch {colour}", good=False, text=done.stderr)]
    found = zero(events, (BLUE, GOOD), load.projects())
    figures = {**found.figures, "switch_s": max(took)}
    there = Finding(found.check, found.verdict, found.reason, found.count, found.first, found.worst, figures)
    return [there, *_controls(load), _retired(stack)]


def _retired(stack: Stack) -> Finding:
    """Users are on green, both run: blue is stopped and kept, and users notice nothing of it."""
    done = stack.rollback("switch", "green", "--retire", "--yes")
    found = stopped_and_served(stack, GOOD)
    stack.compose("up", "-d", "--wait", "backend").check()
    return finding("retired", good=done.status == 0 and not found, text=f"exit {done.status}; {found} {done.stderr}")


def stopped_and_served(stack: Stack, version: str) -> str:
    """What is wrong: blue is kept and does not run, and users are served by the other one."""
    with closing(docker.from_env()) as client:
        state = client.containers.get(f"{stack.project}-backend-1").status
    answered = edge.answer(stack.edge_http, "/api/version").body
    wrong = [] if state == "exited" else [f"blue is {state}"]
    return "; ".join(wrong + ([] if version in answered else [f"users are answered {answered}"]))


def _controls(load: switching.OpenLoop) -> list[Finding]:
    """Who sends a body over a slow line is cut by each of them; what else they break is a matter of luck."""
    found = [_control(load, name, way) for name, way in CONTROLS.items()]
    load.stack.compose("up", "-d", "--wait", "backend").check()
    return found


def _control(load: switching.OpenLoop, name: str, way: Callable[[Stack], None]) -> Finding:
    switching.blue_again(load.stack)
    with load.running() as events:
        way(load.stack)
    return broken(events, name, (BLUE, GOOD))


@pytest.mark.drill(id="switch-zero", **FACTS, objective=OBJECTIVE)
def test_nobody_notices_the_switch(drill: Bench) -> None:
    """From blue to green, back and again: no request of six classes fails, and cruder ways break some."""
    serves = {"read": GOOD, "write": GOOD}
    tells = ("zero", *CONTROLS)
    drill(
        switched(GOOD, serves=serves, objective=OBJECTIVE, further=lambda case: zero_downtime(case, drill), tells=tells)
    )


def back_on_blue(case: Case) -> list[Finding]:
    """Users are where they were, and green does not run."""
    served = {one.release for one in case.history.samples[-20:] if one.path == "read" and one.ok}
    verdict = Verdict.PASS if served == {BLUE} else Verdict.FAIL
    return [Finding("users back", verdict, f"the last answers came from {sorted(map(str, served))}")]


@pytest.mark.exhaustive("switch-zero goes the same way twice")
@pytest.mark.drill(id="switch-ill", **FACTS, objective=None)
def test_colour_that_turns_out_ill_is_left_again(drill: Bench) -> None:
    """Healthy by every check, and a third of its answers are 500: found while it is watched, and users go back."""
    drill(
        switched(
            ILL,
            exit=30,
            serves={},
            objective=None,
            said=("requests failed since users are served by green",),
            further=back_on_blue,
        )
    )


def green_dies(drill: Drill) -> None:
    """Its container is killed, and the engine does not bring it back."""
    drill.recorder.mark(cutover.BACK)
    with closing(docker.from_env()) as client:
        client.containers.get(f"{drill.stack.project}-backend-green-1").kill()


@pytest.mark.exhaustive("users go back by the same way as in switch-ill")
@pytest.mark.drill(id="switch-dies", **FACTS, objective=None)
def test_colour_that_dies_while_it_is_watched(drill: Bench) -> None:
    """Users are on it, and it is killed: the other one still runs, and users go back."""
    drill(
        switched(
            GOOD,
            cut=True,
            operator=struck("green watched for", green_dies),
            exit=30,
            serves={},
            objective=None,
            # by its health or by what users meet, whichever is seen first
            said=("green watched for",),
            further=back_on_blue,
        )
    )


def slow_upload(drill: Drill) -> None:
    """Green is there, and somebody with a slow line holds blue's worker of the edge: the drain has to wait for him."""
    switching.green_is(drill.stack, GOOD)
    threading.Thread(target=_drip, args=(drill,), daemon=True).start()


def _drip(drill: Drill) -> None:
    """Begins with the command's first step: how long its plan took is the host's affair."""
    port, deadline = drill.stack.ports[0], time.monotonic() + LIMIT_SECONDS
    while '"step": "green' not in drill.journal() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    head = f"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {DRIPS}\r\n\r\n"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(head.encode())
        for _ in range(DRIPS):
            line.sendall(b"x")
            time.sleep(1)  # the line is slow: nothing is waited for


@pytest.mark.exhaustive("users go back by the same way as in switch-ill")
@pytest.mark.drill(id="switch-drain-dies", **FACTS, objective=None)
def test_colour_that_dies_while_the_other_is_drained(drill: Bench) -> None:
    """It was watched and found good, and is killed while the last requests of the other one end: users go back."""
    drill(
        switched(
            GOOD,
            cut=True,
            before_command=slow_upload,
            operator=struck("requests to blue finished", green_dies),
            exit=30,
            serves={},
            objective=None,
            said=("green serves still",),
            further=back_on_blue,
        )
    )


def edge_restarts(drill: Drill) -> None:
    """Somebody restarts nginx."""
    drill.stack.compose("restart", "nginx-prod").check()


@pytest.mark.exhaustive("the same steps as in switch-zero, disturbed once")
@pytest.mark.drill(id="switch-edge-restarted", **FACTS, objective=OBJECTIVE)
def test_edge_restarted_in_the_middle(drill: Bench) -> None:
    """Users meet the restart, and are where they were going when it is over."""
    drill(
        switched(
            GOOD,
            cut=True,
            operator=struck("green watched for", edge_restarts),
            serves={"read": GOOD, "write": GOOD},
            objective=OBJECTIVE,
        )
    )


def edited_by_hand(drill: Drill) -> None:
    """Somebody has the file lead to green and never reloads nginx: users are with blue still."""
    switching.green_is(drill.stack, GOOD)
    path = drill.stack.checkout / "nginx/upstream.conf"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"{switching.BLUE}:5001", f"{switching.GREEN}:5001"), encoding="utf-8")


def blue_stopped(case: Case) -> list[Finding]:
    """Only after users were moved; it is started again for whatever looks at the stack afterwards."""
    found = stopped_and_served(case.stack, GOOD)
    case.stack.compose("up", "-d", "--wait", "backend").check()
    return [finding("retired", good=not found, text=found)]


@pytest.mark.exhaustive("the same steps as in switch-zero; that the file is not believed has its unit tests")
@pytest.mark.drill(id="switch-by-hand", **FACTS, objective=OBJECTIVE)
def test_file_that_nginx_never_read_stops_nobody(drill: Bench) -> None:
    """Blue, which users are on, is stopped only after they are on green, whatever the edge's file says."""
    drill(
        switched(
            GOOD,
            before_command=edited_by_hand,
            command=("switch", "--retire", "green"),
            # the plain `up` before it has started blue
            again=0,
            serves={"read": GOOD, "write": GOOD},
            objective=OBJECTIVE,
            further=blue_stopped,
        )
    )
