"""What each faulty release answers for: what its defect really does, and nothing else that fails meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.faults import candidates
from fixtures.faults.database import cleaned_up
from fixtures.faults.release import latency
from fixtures.history import Request, Sample

if TYPE_CHECKING:
    from fixtures.faults.release import BadRelease

ASKED = Request("keepalive", "read", "/api/projects", "GET", 20, 20.1, None, ok=False, reason="", release=None)
ALL = {
    one.version.removeprefix("v4.1.0-"): one
    for one in (
        candidates.crash(),
        candidates.errors(),
        candidates.slow(),
        candidates.assets(),
        candidates.polygons(),
        candidates.environment(),
        candidates.schema(),
    )
}


def asked(fault: BadRelease | None = None, **changes: Any) -> Request:
    """A failed request, answered by this faulty release or by none."""
    return replace(ASKED, release=fault.version if fault else None, **changes)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("errors", {"status": 500}),
        ("errors", {"status": 500, "cls": "post", "path": "write"}),
        ("environment", {"status": 503}),
        ("environment", {"status": 503, "cls": "post", "path": "write", "route": "/api/auth/login"}),
        ("assets", {"status": 404, "path": "frontend", "route": "/assets/*"}),
    ],
)
def test_a_release_answers_for_its_defect(name: str, changes: dict[str, Any]) -> None:
    """A release answers for what its defect does, if it was the one that answered."""
    fault = ALL["env" if name == "environment" else name]
    request = asked(fault, **changes)
    assert fault.owns(request)
    assert fault.explains(request)
    for other in (fault.over, None):
        assert not fault.explains(replace(request, release=other))


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("path", ["read", "write", "ml"])
def test_the_dead_release_answers_for_what_nobody_answered(path: str, status: int) -> None:
    """The backend that is dead answers for what nginx says of it."""
    assert ALL["crash"].owns(asked(path=path, status=status))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": None, "cls": "fresh"}, id="fresh connection cut"),
        pytest.param({"status": None, "cls": "websocket", "path": "ml"}, id="websocket cut"),
        pytest.param({"status": 101, "cls": "websocket", "path": "ml"}, id="websocket closed early"),
        pytest.param({"status": 401}, id="session lost"),
        pytest.param({"status": 404}, id="project lost"),
        pytest.param({"status": 502, "path": "frontend", "route": "/"}, id="no page"),
        pytest.param({"status": 400, "cls": "post", "path": "write"}, id="refused"),
    ],
)
def test_no_defect_does_this(name: str, changes: dict[str, Any]) -> None:
    """What none of the defects does is never explained by one, whoever answered."""
    fault = ALL[name]
    for request in (asked(fault, **changes), asked(**changes)):
        assert not fault.explains(request)
        assert not fault.owns(request)


@pytest.mark.parametrize("name", [name for name in ALL if name != "crash"])
@pytest.mark.parametrize("status", [None, 502, 504])
def test_only_the_dead_release_leaves_no_answer(name: str, status: int) -> None:
    """A backend that lives is reached: that nobody answers is not its defect."""
    assert not ALL[name].explains(asked(status=status))


def test_a_kept_connection_that_ends_is_the_dead_releases_only_while_it_alone_serves() -> None:
    """Nginx hangs up after it answered for the dead release: explained, but a reload hangs up as well."""
    assert ALL["crash"].explains(asked(cls="post", path="write"))
    assert not ALL["crash"].owns(asked(cls="post", path="write"))
    assert not ALL["crash"].explains(asked(cls="post", path="write", done=20.3))


def test_the_slow_release_answers_for_users_who_gave_up_and_not_for_cut_connections() -> None:
    """The slow release answers for users who waited to the end and were answered by nobody."""
    slow = ALL["slow"]
    assert slow.explains(asked(done=30.0))
    assert slow.owns(asked(done=30.0))
    assert not slow.owns(asked(done=29.0))
    assert not slow.explains(asked(done=29.0))
    assert not slow.explains(asked(done=30.0, cls="websocket", path="ml"))
    assert slow.explains(asked(done=35.0, cls="websocket", path="ml"))
    assert not slow.explains(asked(slow, status=500))


def test_the_slow_release_answers_for_its_own_word_that_it_has_no_connection_left() -> None:
    """Overwhelmed, it says so itself after it has waited; a database that is really away is told at once."""
    slow, said = ALL["slow"], {"status": 503, "reason": '503: {"error":"the database is not available"}'}
    assert slow.owns(asked(slow, done=29.5, **said))
    assert not slow.explains(asked(slow, done=20.5, **said))
    assert not slow.explains(replace(asked(slow, done=29.5, **said), release=slow.over))
    hung_up = {
        "status": 101,
        "cls": "websocket",
        "reason": "closed with 1013 before the job ended: the database is not available",
    }
    assert slow.owns(asked(slow, done=29.5, **hung_up))
    assert not slow.explains(asked(slow, done=29.5, **{**hung_up, "reason": "closed with 1012 before the job ended"}))


def test_the_interruption_by_the_deployment_is_explained_and_owned_by_nobody() -> None:
    """What fails while the faulty release is being deployed is explained; a move of users is no deployment."""
    fault = candidates.polygons()
    fault._deployments.append((19, 21))  # noqa: SLF001 -- deployed without a stack
    assert fault.explains(asked(status=502))
    assert not fault.owns(asked(status=502))
    assert not fault.explains(asked(status=502, sent=21.1, done=21.2))


def test_the_release_with_errors_answers_for_an_upload_that_it_hung_up_on_while_it_alone_serves() -> None:
    """It answers before it has read the body; nobody else's 502 is its work, and none while users are being moved."""
    errors = candidates.errors()
    upload: dict[str, Any] = {"status": 502, "cls": "post", "path": "write", "route": "/api/projects/{id}/images"}
    assert errors.explains(asked(**upload))
    assert not errors.owns(asked(**upload))
    assert not errors.explains(asked(**{**upload, "route": "/api/projects"}))


def test_damage_is_heard_by_whoever_follows_a_job() -> None:
    """An internal error over a WebSocket is a 1011; a server that goes away says 1012."""
    fault = cleaned_up()
    fault._at = 10  # noqa: SLF001 -- damaged without a database
    heard: dict[str, Any] = {"status": 101, "cls": "websocket", "path": "ml"}
    assert fault.explains(asked(**heard, reason="closed with 1011 before the job ended: internal error"))
    assert not fault.explains(asked(**heard, reason="closed with 1012 before the job ended: service restart"))


def test_whoever_waits_while_postgresql_is_killed_waits_for_the_blow() -> None:
    """It was the drill's own hand, whatever the rollback is at; whoever asks long afterwards is none of it."""
    fault = cleaned_up()
    fault._away.append((20, 22))  # noqa: SLF001 -- killed without a database
    waited: dict[str, Any] = {"status": 503, "reason": "the database is not available", "path": "write"}
    assert fault.owns(asked(**waited, sent=19.9, done=22.0))
    assert not fault.owns(asked(**waited, sent=22.1, done=24.2))


def test_reads_are_as_fast_as_their_quicker_quarter() -> None:
    """A neighbour on the machine slows some answers, a defect all of them; too few say nothing."""
    took = [0.01, 0.01, 0.5, 0.5, 0.5]
    assert latency(Sample("read", 1, 1 + one, ok=True, release="v") for one in took) == pytest.approx(0.01)
    assert latency(Sample("read", 1, 1 + 10 * one, ok=True, release="v") for one in took) == pytest.approx(0.1)
    assert latency([Sample("read", 1, 1.1, ok=True, release="v")]) == float("inf")
