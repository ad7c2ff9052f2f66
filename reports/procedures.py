"""The table of the first page: the four cases of the Quick Reference first, then every procedure with its drills."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from reports.markup import cell, link, table, tag
from reports.wording import answered, bounds, changed, outcome, plain, seconds, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.answers import Answers, Procedure
    from reports.lines import Drill
    from reports.run import Run

__all__ = ["every"]

_HEAD = (
    "Procedure",
    "Verdict",
    "Objective",
    "RTO, slowest path",
    "Longest downtime",
    "Writes lost",
    "Requests broken",
    "Trend",
)
_WIDTH, _HEIGHT = 90, 22


def every(run: Run, given: Answers, places: Mapping[str, str]) -> str:
    """Return the table with its heading, and below it how its figures are to be read."""
    reasons = {one.what: one.why for one in given.untested}
    rows = (
        _group("The runbook's Quick Reference: if this happens, can we?"),
        *(
            _row(one, answered(one.verdict, run), _covered(one, given), partial=not run.complete)
            for one in given.issues
        ),
        _group("Procedure by procedure"),
        *(_procedure(one, reasons.get(one.title, ""), places) for one in given.procedures),
    )
    return f"<h2>Which procedures, how fast, what would be lost</h2>{table(_HEAD, ''.join(rows))}{_READ}"


_READ = (
    '<p class="soft">Times are intervals: not sooner and not later, as far as the probes can tell. RTO counts from the '
    "operator's command until every path serves the right release for good; downtime counts from the fault, so the "
    "time until the drill had seen it is part of it; what users miss where the command does not bring them back, as in "
    "a refusal, or where it fails as it should, stands at the drill alone. The upper bound is held against the "
    "objective. A write is lost if it was acknowledged and is gone; “as announced” are those of which the command had "
    "told before that they would be, row by row, or as all that came after the backup: the most that one drill had. A "
    "request is broken if it failed by the rollback and not by the fault.</p>"
)


def _group(title: str) -> str:
    return f'<tr class="group"><td colspan="{len(_HEAD)}">{escape(title)}</td></tr>'


def _covered(issue: Procedure, given: Answers) -> str:
    return " · ".join(one.title for one in given.procedures if one.issue == issue.title)


def _procedure(one: Procedure, reason: str, places: Mapping[str, str]) -> str:
    if one.drills:
        return _row(one, word(one.verdict), one.issue) + _drills(one, places)
    name = cell("name", "", f"{escape(one.title)}<br><small>{escape(one.issue)}</small>")
    verdict = cell("", "Verdict", tag(one.verdict, word(one.verdict)))
    return f"<tr>{name}{verdict}{cell('', 'Why', f'<small>{escape(reason)}</small>', len(_HEAD) - 2)}</tr>"


def _row(one: Procedure, answer: str, mark: str, *, partial: bool = False) -> str:
    slow = one.slowest
    drills = f"{one.passed} of {len(one.drills)} drills passed" if one.drills else "no drill ran"
    below = f"<small>{drills}</small>" + (f"<br><small>{escape(mark)}</small>" if mark else "")
    cells = (
        ("name", "", f"{escape(one.title)}<br>{below}"),
        ("", "Verdict", tag(one.verdict, answer, partial=partial)),
        ("", "Objective", seconds(one.objective)),
        ("", "RTO, slowest path", "-" if slow is None else _time(slow)),
        ("", "Longest downtime", _downtime(one.downtime)),
        ("", "Writes lost", _lost(one)),
        ("", "Requests broken", "-" if one.failed is None else str(one.failed)),
        ("", "Trend", _trend(one)),
    )
    return f"<tr>{''.join(cell(*each) for each in cells)}</tr>"


def _time(one: Drill) -> str:
    told = bounds(one.slowest_low, one.slowest)
    return f'<span class="t">{told}</span>' if " to " in told else told


def _downtime(paths: Mapping[str, float]) -> str:
    if not paths:
        return "-"
    down = [f'<span class="t"><small>{escape(path)}</small> {seconds(high)}</span>' for path, high in paths.items()
            if high]  # fmt: skip
    return "<br>".join(down) or "none"


def _lost(one: Procedure) -> str:
    known = sum(drill.lost or 0 for drill in one.measured)
    if one.uncounted == len(one.measured):
        return "-"
    count = f'<b class="fail">{known}</b>' if known else "0"
    unknown = f"<br><small>{one.uncounted} not counted</small>" if one.uncounted else ""
    return f"{count}{unknown}" + (f"<br><small>up to {one.announced} as announced</small>" if one.announced else "")


def _trend(one: Procedure) -> str:
    values = [value for _, value in one.trend]
    if len(values) < 2:  # noqa: PLR2004 -- a line needs two points
        return f"<small>{escape(changed(one.trend))}</small>" if one.drills else "-"
    high = max(values) or 1.0
    step = _WIDTH / (len(values) - 1)
    points = [(round(i * step, 1), round(_HEIGHT - value / high * _HEIGHT, 1)) for i, value in enumerate(values)]
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="{2.8 if (x, y) == points[-1] else 1.7}"/>' for x, y in points)
    told = ", ".join(f"{day}: {seconds(value)}" for day, value in one.trend)
    line = " ".join(f"{a},{b}" for a, b in points)
    return (
        f'<svg class="trend" width="{_WIDTH}" height="{_HEIGHT}" role="img"><title>RTO, upper bound: {told}</title>'
        f'<polyline points="{line}"/>{dots}</svg>'
        f"<br><small>{escape(changed(one.trend))}</small>"
    )


def _drills(one: Procedure, places: Mapping[str, str]) -> str:
    told = "".join(_drill(drill, places) for drill in one.drills)
    summary = f"{len(one.drills)} drill{'s' * (len(one.drills) > 1)}: what went wrong, what was typed, what came of it"
    # what did not pass is not to be looked for
    opened = "" if one.passed == len(one.drills) else " open"
    return (
        f'<tr class="drills"><td colspan="{len(_HEAD)}"><details{opened}><summary>{summary}</summary>'
        f"<ul>{told}</ul></details></td></tr>"
    )


def _drill(drill: Drill, places: Mapping[str, str]) -> str:
    reason = "" if drill.passed else f"<p>{escape(plain(drill.reason))}</p>"
    typed = ", ".join(f"<code>{escape(one)}</code>" for one in drill.typed)
    lines = (escape(drill.story), f"Typed: {typed}" if typed else "", escape(outcome(drill)))
    told = "".join(f"<br><small>{line}</small>" for line in lines if line)
    return f"<li>{tag(drill.verdict, drill.verdict)} {link(drill.title, drill.id, places)}{told}{reason}</li>"
