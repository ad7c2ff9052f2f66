"""Progress of long steps: shown while they run, and never in their way."""

from __future__ import annotations

import threading

import pytest

from rollback import progress

LIMIT_SECONDS = 10


def test_what_is_told_is_shown_within_the_block_alone() -> None:
    """Nobody watches before and after; that is no error."""
    shown: list[str] = []
    progress.tell("before")
    with progress.shown_to(shown.append):
        progress.tell("now")
    progress.tell("after")
    assert shown == ["now"]


def test_a_long_step_is_looked_at_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come from beside it, one after the other, and end with it."""
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.001)
    looks, enough = [0], threading.Event()

    def watcher(text: str) -> None:
        looks.append(int(text))
        if len(looks) > 3:
            enough.set()

    with progress.shown_to(watcher), progress.watched(lambda: str(looks[-1] + 1)):
        assert enough.wait(LIMIT_SECONDS)
    seen = list(looks)
    assert seen == list(range(len(seen)))
    assert threading.active_count() == 1 or "progress" not in {one.name for one in threading.enumerate()}


def test_a_look_that_fails_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work goes on and its own error, not the look's, comes out."""
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.001)
    told, heard = list[str](), threading.Event()

    def watcher(text: str) -> None:
        told.append(text)
        heard.set()

    def look() -> str:
        raise OSError("no view")

    def work() -> None:
        assert heard.wait(LIMIT_SECONDS)
        raise ValueError("of the work")

    with progress.shown_to(watcher), pytest.raises(ValueError, match="of the work"), progress.watched(look):
        work()
    assert told == ["how far it is cannot be told: no view"]
