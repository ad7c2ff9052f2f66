"""`rollback watch` as it is typed: the run that it begins knows what the watch has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rollback import operations
from rollback.commandline import watch as command
from rollback.documents import impact
from rollback.outcome import Exit
from rollback.plan import Plan, Reading, Step
from rollback.watch.decision import Decision, Verdict
from rollback.watch.loop import Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.deployment import Deployment

SEEN = "GET /api: 33.1 % of 100 requests failed"


def plan(_: Deployment, facts: dict[str, Any]) -> Plan:
    """Back to the release of before, which takes one step."""
    done: list[bool] = []
    step = Step("users served by v1", "because", lambda: Reading(bool(done), "seen"), lambda: done.append(True))
    return Plan("application", facts, facts["run"], "put backend back as v1 had it", (step,))


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that the watch finds bad at once."""
    monkeypatch.setattr(command, "_there", lambda _: {"backend": Runs("c1", "sha256:new")})
    monkeypatch.setattr(command, "_decided", lambda *_: Decision(Verdict.ROLLBACK, SEEN))
    monkeypatch.setattr("rollback.procedures.survey.survey", lambda _, to, run: {"run": run, "version": to})
    monkeypatch.setitem(operations.PROCEDURES, "application", plan)
    monkeypatch.setattr(impact, "measure", lambda *_: {"reason": "not asked here"})


@pytest.mark.usefixtures("bad")
def test_the_post_mortem_says_what_the_watch_has_seen(rollback: Callable[..., str]) -> None:
    """Without anybody there, its decision is how the fault was detected."""
    assert rollback("watch", "--to", "v1").startswith(f"{int(Exit.ROLLED_BACK)} rollback: {SEEN}")
    text = rollback("postmortem")
    (detected,) = (line for line in text.splitlines() if line.startswith("- **Detected**"))
    assert f" UTC: {SEEN}; first failed request not measured" in detected
    assert "| the watch decided to roll back |" in text


@pytest.mark.usefixtures("bad")
def test_a_watch_that_was_to_do_nothing_notes_nothing(rollback: Callable[..., str]) -> None:
    """Neither a decision nor a run."""
    assert rollback("watch", "--to", "v1", "--dry-run").startswith(f"{int(Exit.ROLLED_BACK)} rollback: {SEEN}")
    assert rollback("history") == "0 nothing yet\n"
