"""The figures of the drills as Allure metrics: samples, and the titles that go with them."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.lines import Drill


@dataclass(frozen=True)
class Figure:
    """One figure of one drill; ``limit`` is what the gate allows, None where nothing is agreed."""

    key: str
    title: str
    unit: str
    value: float | None
    limit: float | None


def figures(drill: Drill) -> list[Figure]:
    """Return the four figures a drill is read by; lower is better for each."""
    return [
        Figure(f"{drill.id}.rto", "RTO, upper bound, slowest path", "s", drill.slowest, drill.objective),
        Figure(f"{drill.id}.downtime", "Downtime, upper bound, worst path", "s", drill.dark, None),
        Figure(f"{drill.id}.failed", "Requests failed by the switch", "requests", drill.failed, None),
        Figure(f"{drill.id}.lost", "Lost writes", "writes", drill.lost, 0),
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
    """Return the ``performance`` part of the configuration: one group a drill."""
    return {
        "groups": {drill.id: {"title": drill.title} for drill in drills},
        "metrics": {
            figure.key: {"title": figure.title, "unit": figure.unit, "better": "lower", "group": drill.id}
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
