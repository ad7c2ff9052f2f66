"""Zero means zero: judged on hand-written events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures.checks.zero import KINDS, broken, measured, zero
from fixtures.openloop import Event
from fixtures.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = ("v1", "v2")


def good() -> list[Event]:
    """Ten seconds of every class at 204 requests a second, half of them from each release; sockets moved once."""
    events = []
    for number in range(2040):
        sent = number / 204
        kind = KINDS[number % (len(KINDS) - 1)]
        made = f"p{number}" if kind == "half-sent" else None
        events.append(Event(kind, sent, sent + 0.01, ok=True, reason="", release=BOTH[sent > 5], made=made))
    for release, closed in (("v1", 1012), ("v2", None)):
        events.append(Event("websocket", 0.0, 5.0, ok=True, reason="", release=release, closed=closed))
    return events


def there(events: list[Event]) -> set[str]:
    """Everything that was acknowledged."""
    return {one.made for one in events if one.made}


def test_traffic_without_a_failure_passes_with_its_figures() -> None:
    """Requests by class, the rate and the longest gap."""
    events = good()
    found = zero(events, BOTH, there(events))
    assert found.verdict is Verdict.PASS
    assert found.figures["rate"] == pytest.approx(204, abs=1)
    assert found.figures["gap_ms"] == pytest.approx(1000 / 204, abs=1)
    assert {kind: found.figures[f"{kind} requests"] for kind in KINDS}["websocket"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_failure_of_any_class_is_a_failure(kind: str) -> None:
    """However many went well."""
    events = good()
    place = next(number for number, one in enumerate(events) if one.kind == kind)
    events[place] = replace(events[place], ok=False, reason="502")
    found = zero(events, BOTH, there(events))
    assert (found.verdict, found.count) == (Verdict.FAIL, 1)
    assert f"(1 {kind}), first: 502" in found.reason


def test_an_acknowledged_write_that_is_gone_is_a_failure() -> None:
    """No request failed, and something is missing."""
    events = good()
    found = zero(events, BOTH, there(events) - {"p2"})
    assert found.verdict is Verdict.FAIL
    assert "1 writes lost" in found.reason


THIN: dict[str, tuple[Callable[[Event], bool], str]] = {
    "rate": (lambda one: one.kind != "fresh", "a second were sent, 200 are needed"),
    "class": (lambda one: one.kind != "websocket", "no websocket request"),
    "move": (lambda one: one.closed is None, "no WebSocket was asked to move"),
}


@pytest.mark.parametrize(("keep", "words"), THIN.values(), ids=THIN)
def test_too_little_seen_is_no_pass(keep: Callable[[Event], bool], words: str) -> None:
    """Inconclusive, with what is missing."""
    events = [one for one in good() if keep(one)]
    found = zero(events, BOTH, there(events))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_release_that_never_answered_was_not_switched_to() -> None:
    """The rate alone says nothing of a switch."""
    events = [replace(one, release="v1") for one in good()]
    found = zero(events, BOTH, there(events))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "v2 never answered")


def test_nothing_at_all_is_no_pass() -> None:
    """A load that did not start."""
    assert zero([], BOTH, set()).verdict is Verdict.INCONCLUSIVE
    assert broken([], "control", BOTH).verdict is Verdict.INCONCLUSIVE
    assert measured([]) == {}


def test_a_control_that_breaks_nothing_proves_nothing() -> None:
    """The traffic would not have noticed a bad switch either."""
    events = good()
    assert broken(events, "control", BOTH).verdict is Verdict.INCONCLUSIVE
    events[3] = replace(events[3], ok=False, reason="502: <html>")
    assert broken(events, "control", BOTH).verdict is Verdict.PASS


def test_a_control_that_moved_nobody_proves_nothing() -> None:
    """Blue was taken away, and the edge never led to green: everything fails, and no switch was at fault."""
    events = [replace(one, ok=one.release == "v1", reason="" if one.release == "v1" else "502: ") for one in good()]
    found = broken(events, "control", BOTH)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "v2 never answered")


def test_a_client_that_is_refused_is_not_broken_by_a_control() -> None:
    """A token that has expired fails without any switch."""
    events = good()
    events[3] = replace(events[3], ok=False, reason="401: the access token is not valid")
    found = broken(events, "control", BOTH)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the client itself was refused: 401" in found.reason
