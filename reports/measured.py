"""The README's table of measured figures: written from drills.jsonl, never typed.

drills/measured.jsonl keeps, in git, the newest line of each drill without its bulk; the README is rendered from it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reports import lines, runbook
from reports.answers import answers
from reports.policy import Policy
from reports.run import Run
from reports.summary import per_path, table
from reports.wording import UNKNOWN, bounds, seconds, short, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reports.answers import Procedure

__all__ = ["BEGIN", "END", "NoPlaceError", "keep", "placed", "render"]

BEGIN, END = "<!-- measured: python -m reports --readme -->", "<!-- /measured -->"
HEAD = ("Procedure", "Objective", "RTO, slowest path", "Longest downtime", "Writes lost", "Drills", "Measured")
_KEPT = (
    "id", "title", "section", "severity", "verdict", "reason", "started", "git_head", "dirty", "machine", "pace_s",
    "objective_s", "rto_s", "downtime_s", "writes", "requests",
)  # fmt: skip


class NoPlaceError(ValueError):
    """The README has no place for the table."""


def keep(record: Path, kept: Path) -> None:
    """Take the lines of a run into the file that git keeps; an older line of the same drill goes.

    Raises:
        BadLineError: a line of either file is no drill.
    """
    newest: dict[str, dict[str, Any]] = {}
    for path in (kept, record):
        lines.read(path)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for raw in map(json.loads, filter(None, text.splitlines())):
            newest[raw["id"]] = {name: raw[name] for name in _KEPT if name in raw}
    ordered = (json.dumps(newest[name]) for name in sorted(newest))
    kept.write_text("".join(f"{line}\n" for line in ordered), encoding="utf-8")


def render(drills: Sequence[lines.Drill]) -> str:
    """Return the table, a row for each procedure of the runbook; what was never measured says so."""
    told = answers(Run(), drills, (), Policy(), datetime.now(UTC).date())
    rows = [_row(one, section) for one, section in zip(told.procedures, runbook.SECTIONS, strict=False)]
    return table(HEAD, rows)


def _row(one: Procedure, section: runbook.Section) -> tuple[str, ...]:
    slow, goal = one.slowest, one.objective or runbook.QUICK_REFERENCE.get(section.issue)
    return (
        one.title,
        seconds(goal),
        UNKNOWN if slow is None else bounds(slow.slowest_low, slow.slowest),
        per_path(one.downtime),
        UNKNOWN if one.lost is None else str(one.lost),
        f"{one.passed} of {len(one.drills)} passed" if one.drills else word(one.verdict),
        _runs(one.drills),
    )


def _runs(drills: Sequence[lines.Drill]) -> str:
    """Each day with the commit on which it was measured, oldest first."""
    told = sorted(
        {
            (one.started[:10], f"{short(one.git_head) or 'no commit'}{', with uncommitted changes' * one.dirty}")
            for one in drills
        }
    )
    return "; ".join(f"{day} at {commit}" for day, commit in told) or UNKNOWN


def placed(readme: str, drills: Sequence[lines.Drill]) -> str:
    """Return the README with the table of these drills in its place.

    Raises:
        NoPlaceError: the two comments around the table are not there.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise NoPlaceError(f"the README has no {BEGIN} ... {END} to put the table between")
    return f"{head}{BEGIN}\n{render(drills)}\n{END}{tail}"
