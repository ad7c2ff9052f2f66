"""The lines of drills.jsonl, read: one drill a line, as the run recorded it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = ("severity", "command", "started", "git_head", "machine", "story")
PASS, FAIL, INCONCLUSIVE, NOT_TESTED = "pass", "fail", "inconclusive", "not tested"


class BadLineError(ValueError):
    """A line of drills.jsonl that is no drill: no figure of that run can be trusted."""


@dataclass(frozen=True)
class Drill:
    """What one drill found. Seconds are upper bounds; infinity means: not within the drill.

    Attributes:
        rto_low: the lower bounds that go with `rto`.
        announced: writes of which the rollback said beforehand that they will not be there.
        pace: median seconds of a good answer before the fault: how fast the host was.
        machine: the kind of machine; times of two kinds are not compared.
        story: what went wrong, in plain words.
        typed: what the operator typed that changed something.
    """

    id: str
    title: str
    section: str
    verdict: str
    reason: str
    objective: float | None
    rto: dict[str, float]
    downtime: dict[str, float]
    lost: int | None
    failed: int | None
    versions: dict[str, str]
    rto_low: dict[str, float] = field(default_factory=dict)
    announced: int | None = None
    blamed: int | None = None
    severity: str = ""
    command: str = ""
    started: str = ""
    seed: int | None = None
    git_head: str = ""
    dirty: bool = False
    machine: str = ""
    pace: float | None = None
    images: dict[str, str] = field(default_factory=dict)
    story: str = ""
    typed: tuple[str, ...] = ()

    @property
    def slowest(self) -> float | None:
        """The RTO of the path that came back last, or None when no path was measured."""
        return max(self.rto.values(), default=None)

    @property
    def slowest_low(self) -> float | None:
        """What that RTO is at least, or None when no path was measured."""
        return max(self.rto_low.values(), default=None)

    @property
    def recovers(self) -> bool:
        """Say whether a recovery is asked for: none is where it is right that the command refuses or goes back."""
        return self.objective is not None

    @property
    def dark(self) -> float | None:
        """The downtime of the path that was down longest; None when none was measured or a recovery asked for."""
        return max(self.downtime.values(), default=None) if self.recovers else None

    @property
    def passed(self) -> bool:
        """Say whether it proved what it is there for."""
        return self.verdict == PASS


def read(path: Path) -> list[Drill]:
    """Read every line of ``path``; a missing file is a run without drills.

    Raises:
        BadLineError: a line is no JSON or lacks the id or the verdict, or the file is no text.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadLineError(f"{path.name} is not the record of drills: {error}") from error
    return [_drill(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _drill(path: Path, number: int, line: str) -> Drill:
    try:
        return parse(json.loads(line))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadLineError(f"{path.name} line {number} is not the record of a drill: {error!r}") from error


def parse(raw: dict[str, Any]) -> Drill:
    """Turn one decoded line into a Drill.

    Raises:
        KeyError: the id or the verdict is missing.
    """
    writes, requests = raw.get("writes") or {}, raw.get("requests") or {}
    return Drill(
        id=str(raw["id"]),
        title=str(raw.get("title") or raw["id"]),
        section=str(raw.get("section") or ""),
        verdict=str(raw["verdict"]).lower(),
        reason=str(raw.get("reason") or ""),
        objective=_seconds(raw.get("objective_s")),
        rto=_bounds(raw.get("rto_s"), "high"),
        downtime=_bounds(raw.get("downtime_s"), "high"),
        lost=_count(writes, "lost"),
        failed=_count(requests, "failed"),
        versions={name: str(value) for name, value in (raw.get("versions") or {}).items()},
        rto_low=_bounds(raw.get("rto_s"), "low"),
        announced=_count(writes, "announced"),
        blamed=_count(requests, "failed_by_fault"),
        pace=_seconds(raw.get("pace_s")),
        images={name: str(value) for name, value in (raw.get("images") or {}).items()},
        seed=raw.get("seed"),
        dirty=bool(raw.get("dirty")),
        typed=tuple(map(str, raw.get("typed") or ())),
        **{name: str(raw.get(name) or "") for name in _WORDS},
    )


def _bounds(intervals: dict[str, dict[str, float | None]] | None, end: str) -> dict[str, float]:
    return {path: _end(interval, end) for path, interval in (intervals or {}).items()}


def _end(interval: dict[str, float | None], end: str) -> float:
    high, value = interval["high"], interval.get(end)
    # what never came back while it was watched took at least as long
    return math.inf if high is None or value is None else float(value)


def _seconds(value: float | None) -> float | None:
    return None if value is None else float(value)


def _count(counts: dict[str, int], name: str) -> int | None:
    return int(counts[name]) if name in counts else None
