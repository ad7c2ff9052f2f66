"""An intruder is shut out when he is told so: where nobody answers him, nothing was refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures import breach
from fixtures.case import Case
from fixtures.faults.intrusion import WAYS, Intrusion
from fixtures.history import History, Mark
from fixtures.verdict import Finding, Verdict

TOLD = {
    "token": 'ValueError: 401 {"error":"the access token is not valid"}',
    "forged": 'ValueError: 401 {"error":"the access token is not valid"}',
    "refresh": 'ValueError: 401 {"error":"the refresh token is not valid"}',
    "database": 'OperationalError: failed: FATAL:  password authentication failed for user "postgres"',
    "role": 'OperationalError: failed: FATAL:  password authentication failed for user "backup_agent"',
    "tls": "ValueError: the edge shows another key",
}


@dataclass
class Noted(Intrusion):
    """His notes, written by hand."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def notes(self) -> list[dict[str, Any]]:
        """All of them."""
        return self.lines


def judged(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """The findings on an intruder who was told this three times after the end."""
    lines = [{"way": way, "sent": 30.0 + n, "done": 30.1 + n, "got": "", "why": why}
             for way, why in told.items() for n in range(3)]  # fmt: skip
    monkeypatch.setattr(Case, "journal", lambda _: "\n".join(
        json.dumps({"event": "done", "mono": 15.0, "data": {"step": step}}) for step in ("isolated", "the edge shows")
    ))  # fmt: skip
    case = Case.__new__(Case)
    case.history = History(marks=(Mark("rollback started", 10.0, 0.0), Mark("rollback ended", 20.0, 0.0)))
    monkeypatch.setattr(case, "scenario", type("One", (), {"fault": Noted(lines=lines)})(), raising=False)
    return {one.check: one for one in breach.shut_out(case)}


def test_he_is_told_by_every_way_in() -> None:
    """Only whoever calls home from inside is told nothing."""
    assert {*breach.REFUSALS} == {*WAYS} - {"home"}


def test_refusals_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each are enough."""
    assert judged(TOLD, monkeypatch)["he went on trying"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    "why",
    ["IndexError: list index out of range", "ConnectionRefusedError: [Errno 111] Connection refused", "TimeoutError: "],
)
@pytest.mark.parametrize("way", TOLD)
def test_silence_is_no_refusal(way: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is not published, an edge that is down: nobody knows what he would have been told."""
    found = judged({**TOLD, way: why}, monkeypatch)
    assert found["intruder shut out"].verdict is Verdict.PASS
    assert found["he went on trying"].verdict is Verdict.INCONCLUSIVE
