"""The figures of the drills as Allure metrics: samples, and the titles that go with them."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports import past, runbook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reports.lines import Drill
    from reports.past import Run


#: Figures of the run as a whole, that its gate hangs on.
OVERALL = {
    "run.held": "Sentences that the gate holds against the run",
    "run.undrilled": "Procedures of the runbook that the run should have drilled and did not",
}
GROUPS = {
    "rto": "RTO: seconds until the slowest path was back, upper bound",
    "downtime": "Downtime: seconds the worst path was down, upper bound",
    "failed": "Requests failed by the switch",
    "lost": "Acknowledged writes lost",
    "slower": "Slower than last time, beyond what the probes' spacing explains",
    "pace": "Host: milliseconds a good answer took before the fault",
    "run": "The run as a whole",
}
UNITS = {"rto": "s", "downtime": "s", "failed": "requests", "lost": "writes", "slower": "%", "pace": "ms"}


@dataclass(frozen=True)
class Figure:
    """One figure of one drill; ``limit`` is what the gate allows, None where nothing is agreed."""

    drill: Drill
    group: str
    value: float | None
    limit: float | None

    @property
    def key(self) -> str:
        """The name under which history knows this figure of this drill."""
        return f"{self.drill.id}.{self.group}"


def figures(drill: Drill, earlier: Sequence[Run] = ()) -> list[Figure]:
    """Return the figures a drill is read by; lower is better for each."""
    slower = past.slower(drill, earlier)
    return [
        Figure(drill, "rto", drill.slowest, drill.objective),
        Figure(drill, "downtime", drill.dark, None),
        Figure(drill, "failed", drill.failed, None),
        # where nobody is at work there is no write to lose
        Figure(drill, "lost", drill.lost, 0 if runbook.section(drill.section).users else None),
        Figure(drill, "slower", slower and slower * 100, None if slower is None else past.WORSE * 100),
        Figure(drill, "pace", drill.pace and drill.pace * 1000, None),
    ]


def samples(
    drills: Iterable[Drill], at: int, earlier: Sequence[Run] = (), overall: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """Return the content of ``*-perf.json``; ``at`` is in milliseconds since 1970.

    A figure that was not measured, or has no bound, is left out: its gate rule then fails.
    """
    found = {one.key: one.value for drill in drills for one in figures(drill, earlier)} | dict(overall or {})
    return [
        {"id": str(uuid.uuid4()), "key": key, "value": value, "start": at, "stop": at}
        for key, value in found.items()
        if value is not None and math.isfinite(value)
    ]


def titles(drills: Sequence[Drill]) -> dict[str, Any]:
    """Return the ``performance`` part of the configuration: a table for each figure, a row for each drill."""
    of_drills = {
        f"{drill.id}.{group}": {"title": drill.title, "unit": unit, "better": "lower", "group": group}
        for drill in drills
        for group, unit in UNITS.items()
    }
    of_runs = {key: {"title": title, "unit": "", "better": "lower", "group": "run"} for key, title in OVERALL.items()}
    return {"groups": {name: {"title": title} for name, title in GROUPS.items()}, "metrics": {**of_drills, **of_runs}}


def rules(drills: Sequence[Drill], earlier: Sequence[Run] = ()) -> list[dict[str, Any]]:
    """Return the quality gate: nothing failed, nothing held against the run, each figure within its limit.

    The limits: each objective met, no write lost, nothing slower than last time by more than 25 % and two seconds. A
    figure without a sample breaks its rule.
    """
    limits = [(one.key, one.limit) for drill in drills for one in figures(drill, earlier) if one.limit is not None]
    whole = [(key, 0) for key in OVERALL]
    asked = [{"id": key, "metricMax": {"key": key, "value": limit}} for key, limit in (*whole, *limits)]
    return [{"maxFailures": 0}, {"successRate": 1}, *asked]
