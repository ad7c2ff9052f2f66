"""summary.md: the run in one table, from drills.jsonl and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.lines import Drill

HEADER = (
    "Drill",
    "Verdict",
    "Objective",
    "RTO (upper bound)",
    "Downtime (upper bound)",
    "Lost writes",
    "Requests failed by the switch",
    "Reason",
)
UNKNOWN = "-"


def render(drills: Sequence[Drill]) -> str:
    """Return the whole file. What was not measured is a dash, never a zero."""
    rows = [HEADER, tuple("---" for _ in HEADER), *(_row(drill) for drill in drills)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"# SpherosegV4 rollback drills\n\n{headline(drills)}\n\n{table}\n"


def headline(drills: Sequence[Drill]) -> str:
    """Return one sentence: how many drills, and how many of each verdict."""
    if not drills:
        return "No drill recorded a verdict."
    counts = Counter(drill.verdict for drill in drills)
    parts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return f"{len(drills)} drill{'s' if len(drills) > 1 else ''}: {parts}."


def _row(drill: Drill) -> tuple[str, ...]:
    return (
        cell(drill.title if drill.title == drill.id else f"{drill.title} ({drill.id})"),
        f"**{cell(drill.verdict)}**" if drill.verdict != "pass" else "pass",
        seconds(drill.objective),
        per_path(drill.rto),
        per_path(drill.downtime),
        UNKNOWN if drill.lost is None else str(drill.lost),
        UNKNOWN if drill.failed is None else str(drill.failed),
        cell(drill.reason),
    )


def per_path(bounds: dict[str, float]) -> str:
    """Return ``frontend 1.2 s, read 3.4 s``."""
    return ", ".join(f"{cell(path)} {seconds(high)}" for path, high in sorted(bounds.items())) or UNKNOWN


def seconds(value: float | None) -> str:
    """Return the seconds with one decimal, rounded up: an upper bound stays one."""
    if value is None:
        return UNKNOWN
    if math.isinf(value):
        return "not within the drill"
    return f"{math.ceil(round(value * 10, 6)) / 10:.1f} s"


def cell(text: str) -> str:
    """Return the text so that it cannot break out of its table cell."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
