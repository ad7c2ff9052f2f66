"""A drill in which nothing went wrong proves nothing, and must say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fixtures.drill import Drill, DrillInconclusiveError
from fixtures.faults.candidates import GOOD
from fixtures.phases import Phases, terminal
from fixtures.scenario import Scenario
from fixtures.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fixtures.authority import Authority
    from fixtures.history import Request, Sample
    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.trust]


@dataclass
class Placebo:
    """Claims to break everything and breaks nothing."""

    story: str = "nothing happened"

    def learn(self, samples: Sequence[Sample]) -> None:
        """Learn nothing."""

    def inject(self, stack: Stack) -> None:
        """Do nothing."""

    def shows(self, sample: Sample) -> bool:
        """Any bad sample would do."""
        return not sample.ok

    def explains(self, request: Request) -> bool:
        """Excuse whatever fails."""
        return not request.ok

    def resembles(self, sample: Sample) -> bool:
        """Any bad sample would do."""
        return not sample.ok

    def owns(self, request: Request) -> bool:
        """Excuse whatever fails."""
        return not request.ok

    def heal(self, stack: Stack) -> None:
        """Do nothing."""


def test_no_fault_is_no_pass(
    stack: Stack, authority: Authority, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Without a fault the drill is inconclusive, and it never gets to type the command."""
    scenario = Scenario((GOOD,), Placebo(), ("application", GOOD), {}, patience=30)
    drill = Drill(scenario, stack, Phases(terminal(request.config)), authority, 1, tmp_path)
    with pytest.raises(DrillInconclusiveError, match="the fault to show"):
        drill.run()
    assert drill.outcome is None
    assert drill.verdict() is Verdict.FAIL
