"""Earlier runs, out of the history that Allure keeps: one line a run, kept in a cache or a branch of CI."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from reports.lines import BadLineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reports.lines import Drill

__all__ = ["JITTER", "WORSE", "Point", "Run", "ahead", "comparable", "earlier", "read", "slower", "worse"]

#: Slower than last time by more than this share is a finding.
WORSE = 0.25
#: Seconds by which the same code's recovery differs from run to run, seen with recoveries of four to eight seconds.
JITTER = 2.0
#: Times are compared between hosts whose answers before the fault took as long, within this factor.
_AS_FAST = 1.5
_PASSED = "passed"


@dataclass(frozen=True)
class Point:
    """One drill in one earlier run; a figure that was not measured is absent."""

    day: date
    passed: bool
    machine: str
    figures: dict[str, float]

    @property
    def rto(self) -> float | None:
        """Seconds until the slowest path was back, upper bound."""
        return self.figures.get("rto")


@dataclass(frozen=True)
class Run:
    """One earlier run: what became of each of its drills."""

    day: date
    drills: dict[str, Point]


def read(path: Path, started: str = "") -> list[Run]:
    """Return the earlier runs, oldest first; a missing file is a project without a past.

    Args:
        path: the history.
        started: when the run began that is compared with them, ISO 8601: it may be in the history itself by now.

    Raises:
        BadLineError: a line is not one of Allure's: nothing could be compared.
    """
    runs = [_run(raw) for raw in map(json.loads, earlier(path, started))]
    return sorted(runs, key=lambda one: one.day)


def earlier(path: Path, started: str = "") -> list[str]:
    """Return the lines of the runs that had ended when one started; all of them without an instant.

    Raises:
        BadLineError: a line is not one of Allure's.
    """
    limit = datetime.fromisoformat(started).timestamp() * 1000 if started else math.inf
    return [line for line, stamp in _stamped(path) if stamp < limit]


def ahead(path: Path, now: datetime) -> int:
    """Return how many runs of the history lie in the future: a clock was wrong, then or now.

    Raises:
        BadLineError: a line is not one of Allure's.
    """
    return sum(stamp > now.timestamp() * 1000 for _, stamp in _stamped(path))


def _stamped(path: Path) -> list[tuple[str, float]]:
    """Return each line of the history with its instant, in milliseconds since 1970."""
    if not path.is_file():
        return []
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        known = [(line, json.loads(line)) for line in lines]
        for _, raw in known:
            _run(raw)
        return [(line, raw["timestamp"]) for line, raw in known]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadLineError(f"{path.name} is not a history of runs: {error!r}") from error


def _run(raw: dict[str, Any]) -> Run:
    day = datetime.fromtimestamp(raw["timestamp"] / 1000, UTC).date()
    metrics: dict[str, float] = raw.get("metrics") or {}
    return Run(day, {name: _point(one, day, name, metrics) for one in raw["testResults"].values()
                     if (name := _drill(one))})  # fmt: skip


def _point(result: dict[str, Any], day: date, name: str, metrics: dict[str, float]) -> Point:
    head = f"{name}."
    figures = {key.removeprefix(head): float(value) for key, value in metrics.items() if key.startswith(head)}
    return Point(day, result["status"] == _PASSED, str(result.get("environment") or ""), figures)


def _drill(result: dict[str, Any]) -> str:
    return next((str(one["value"]) for one in result.get("labels") or () if one["name"] == "drill"), "")


def comparable(drill: Drill, past: Sequence[Run]) -> Point | None:
    """Return the newest earlier pass of this drill on a machine of its kind that was as fast; None if there is none.

    A host that is busy with something else answers later, and rolls back later: its times accuse nobody.
    """
    points = [run.drills[drill.id] for run in past if drill.id in run.drills]
    fit = [one for one in points if one.passed and one.rto is not None and _like(drill, one)]
    return fit[-1] if fit else None


def _like(drill: Drill, point: Point) -> bool:
    if drill.machine != point.machine:
        return False
    then = point.figures.get("pace")
    if not drill.pace or not then:
        return True
    return 1 / _AS_FAST <= drill.pace / (then / 1000) <= _AS_FAST


def slower(drill: Drill, past: Sequence[Run]) -> float | None:
    """Return by which share the drill is slower than last time, 0 if it is not; None if nothing is comparable.

    The lower bound of now is held against the upper bound of then: what the spacing of the probes may explain is no
    finding, and neither are two seconds more. A drill that never came back is infinitely slower.
    """
    last = comparable(drill, past)
    if last is None or not last.rto or drill.slowest_low is None:
        return None
    return drill.slowest_low / last.rto - 1 if drill.slowest_low - last.rto > JITTER else 0.0


def worse(drill: Drill, past: Sequence[Run]) -> str:
    """Return a sentence if the drill is slower than last time by more than 25 % and two seconds, else an empty one."""
    last, share = comparable(drill, past), slower(drill, past)
    if last is None or share is None or share <= WORSE:
        return ""
    if math.isinf(share):
        return f"it did not come back; on {last.day} within {last.rto:.1f} s"
    return (
        f"RTO of at least {drill.slowest_low:.1f} s, on {last.day} at most {last.rto:.1f} s: {share:.0%} more, "
        f"{WORSE:.0%} are allowed"
    )
