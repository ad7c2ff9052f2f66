"""What the gate says of a drill, in its words: whoever writes, reads or counts by such a sentence has it from here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.lines import FAIL, INCONCLUSIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.lines import Drill

__all__ = ["about", "judged", "not_passed", "silent", "untested", "worse"]


def silent(drill: str) -> str:
    """Return what is held against a drill without a line."""
    return f"drill {drill} recorded no verdict: it was skipped, crashed or never got that far"


def not_passed(drill: Drill) -> str:
    """Return what is held against a verdict that is no pass."""
    return f"drill {drill.id} is {drill.verdict}, not pass: {drill.reason or 'no reason recorded'}"


def untested(drill: Drill) -> str:
    """Return what is held against a drill that says *not tested* and may not."""
    return f"drill {drill.id} is not tested: {drill.reason}"


def worse(drill: str, told: str) -> str:
    """Return what is held against a drill that is slower than last time."""
    return f"drill {drill} is worse than last time: {told}"


def about(drill: str, gate: Iterable[str]) -> list[str]:
    """Return the sentences about one drill."""
    return [one for one in gate if one.startswith(f"drill {drill} ")]


def judged(drills: Iterable[Drill], gate: Sequence[str]) -> list[Drill]:
    """Return the drills as they count: a pass that the gate holds something against is none.

    Slower than last time is no such thing: it came back all the same, and within its objective.
    """
    return [_judged(one, gate) for one in drills]


def _judged(drill: Drill, gate: Sequence[str]) -> Drill:
    against = [one for one in about(drill.id, gate) if not one.startswith(worse(drill.id, ""))]
    if not drill.passed or not against:
        return drill
    late = drill.objective is not None and (drill.slowest or 0.0) > drill.objective
    told = "; ".join(one.removeprefix(f"drill {drill.id} ") for one in against)
    return replace(drill, verdict=FAIL if drill.lost or late else INCONCLUSIVE, reason=f"the gate: it {told}")
