"""The figures of the drills as Allure metrics: samples, and the titles that go with them."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.lines import Drill


GROUPS = {
    "rto": "RTO: seconds until the slowest path was back, upper bound",
    "downtime": "Downtime: seconds the worst path was down, upper bound",
    "failed": "Requests failed by the switch",
    "lost": "Acknowledged writes lost",
}
UNITS = {"rto": "s", "downtime": "s", "failed": "requests", "lost": "writes"}


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


def figures(drill: Drill) -> list[Figure]:
    """Return the four figures a drill is read by; lower is better for each."""
    return [
        Figure(drill, "rto", drill.slowest, drill.objective),
        Figure(drill, "downtime", drill.dark, None),
        Figure(drill, "failed", drill.failed, None),
        Figure(drill, "lost", drill.lost, 0),
    ]


def samples(drills: Iterable[Drill], at: int) -> list[dict[str, Any]]:
    """Return the content of ``*-perf.json``; ``at`` is in milliseconds since 1970.

    A figure that was not measured, or has no bound, is left out: its gate rule then fails.
    """
    return [
        {"id": str(uuid.uuid4()), "key": figure.key, "value": figure.value, "start": at, "stop": at}
        for drill in drills
        for figure in figures(drill)
        if figure.value is not None and math.isfinite(figure.value)
    ]


def titles(drills: Sequence[Drill]) -> dict[str, Any]:
    """Return the ``performance`` part of the configuration: a table for each figure, a row for each drill."""
    return {
        "groups": {name: {"title": title} for name, title in GROUPS.items()},
        "metrics": {
            figure.key: {
                "title": drill.title,
                "unit": UNITS[figure.group],
                "better": "lower",
                "group": figure.group,
            }
            for drill in drills
            for figure in figures(drill)
        },
    }


def rules(drills: Sequence[Drill]) -> list[dict[str, Any]]:
    """Return the quality gate: nothing failed, each objective met, no write lost."""
    limits = [
        {"id": figure.key, "metricMax": {"key": figure.key, "value": figure.limit}}
        for drill in drills
        for figure in figures(drill)
        if figure.limit is not None
    ]
    return [{"maxFailures": 0}, {"successRate": 1}, *limits]
