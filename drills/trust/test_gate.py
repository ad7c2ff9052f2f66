"""The gate is drilled in real runs: a slower restore, a lost write and a skipped drill turn it red, and it says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import trial
from fixtures.sabotages.database import RESTORED
from fixtures.sabotages.gate import AT_THE_GATE

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.trial import Trial

pytestmark = [
    pytest.mark.engine,
    pytest.mark.trust,
    pytest.mark.alone,
    pytest.mark.exhaustive("each sentence of the gate has its unit test"),
]

ID = "database-restored"
RED = 1


def red(ended: Trial, sentence: str) -> None:
    """The run failed by this one sentence of the gate, and its drill did not fail."""
    assert ended.status == RED, ended.said[-2000:]
    (held,) = ended.gate
    assert held.startswith(f"drill {ID} {sentence}"), held
    assert " failed" not in ended.said.splitlines()[-1], "the drill was red before the gate looked at it"


def test_a_slower_restore(tmp_path: Path) -> None:
    """Far within its objective, but slower than last time: the same drill passed the gate before it slowed down."""
    copy = trial.copied(tmp_path / "copy", *AT_THE_GATE["same host"])
    sound = trial.run(copy, RESTORED)
    assert (sound.status, sound.gate) == (0, []), sound.said[-2000:]
    trial.replace(copy, *AT_THE_GATE["slowed down"])
    slowed = trial.run(copy, RESTORED)
    red(slowed, "is worse than last time: RTO of at least")
    assert slowed.lines[0]["verdict"] == "pass"
    assert "### What got worse" in slowed.summary
    assert "25% are allowed" in slowed.summary


def test_a_lost_write(tmp_path: Path) -> None:
    """Also where the drill believes itself to have passed: the gate counts."""
    ended = trial.run(trial.copied(tmp_path / "copy", *AT_THE_GATE["write lost"]), RESTORED)
    lost = ended.lines[0]["writes"]["lost"]
    assert lost > 0
    red(ended, f"lost {lost} acknowledged writes")
    assert ended.lines[0]["verdict"] == "pass"


def test_a_skipped_drill(tmp_path: Path) -> None:
    """Pytest is content with it; the gate is not."""
    ended = trial.run(trial.copied(tmp_path / "copy", *AT_THE_GATE["skipped"]), RESTORED)
    red(ended, "recorded no verdict: it was skipped")
    assert ended.lines == ()
    assert "it recorded no verdict" in ended.summary
