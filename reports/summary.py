"""summary.md: the first page for a comment on a pull request, from what was recorded and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import sentences
from reports.lines import PASS
from reports.wording import UNKNOWN, answered, bounds, changed, described, headline, plain, seconds, uncompared, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.answers import Answers, Procedure, Untested
    from reports.findings import Finding
    from reports.lines import Drill
    from reports.run import Run

__all__ = ["cell", "per_path", "render", "table"]

PROCEDURES = (
    "Procedure", "Can we?", "Objective", "RTO, slowest path", "Longest downtime", "Writes lost", "Trend", "Drills",
)  # fmt: skip
DRILLS = ("Drill", "Verdict", "Objective", "RTO", "Downtime (upper bound)", "Lost writes", "Requests broken", "Reason")
#: So many things that were not tested are shown without a click.
_LONG = 8
FINDINGS = ("Finding", "Severity", "Owner", "Open since", "Drill again by")


def render(run: Run, drills: Sequence[Drill], given: Answers) -> str:
    """Return the whole file. What was not measured is a dash, never a zero."""
    (name, what), (answer, sentence) = described(run, drills), headline(run, given)
    parts = [
        "# SpherosegV4 rollback drills",
        f"**{cell(name)}**, {given.day}: {cell(what)}",
        f"**Can we roll back today? {answer}** {sentence}",
        "The four cases of the runbook's Quick Reference first, then each procedure that was drilled:",
        table(PROCEDURES, _procedures(run, given)),
        *_list("What got worse", [f"{one.drill.title}: {one.sentence}" for one in given.changes if not one.better]),
        *([" ".join(uncompared(given))] if uncompared(given) else []),
        *_untested(given),
        *_findings(given.findings),
        "<details><summary>Every drill</summary>",
        table(DRILLS, map(_row, sentences.judged(drills, run.gate))),
        "</details>",
        *([f"Again: `{run.command}`"] if run.command else []),
        f"Next drill due: {given.due}",
    ]
    return "\n\n".join(parts) + "\n"


def _procedures(run: Run, given: Answers) -> Iterable[tuple[str, ...]]:
    for one in given.issues:
        yield _procedure(one, f"**{one.title}**", f"**{answered(one.verdict, run)}**")
    for one in given.procedures:
        if one.drills:
            yield _procedure(one, cell(one.title), "pass" if one.verdict == PASS else f"**{cell(one.verdict)}**")


def _procedure(one: Procedure, title: str, verdict: str) -> tuple[str, ...]:
    slow = one.slowest
    return (
        title,
        verdict,
        seconds(one.objective),
        UNKNOWN if slow is None else bounds(slow.slowest_low, slow.slowest),
        per_path(one.downtime),
        UNKNOWN if one.lost is None else f"{one.lost}{f', up to {one.announced} as announced' * (one.announced > 0)}",
        changed(one.trend) if one.drills else UNKNOWN,
        f"{one.passed} of {len(one.drills)} passed" if one.drills else word(one.verdict),
    )


def _list(title: str, sentences: Iterable[str]) -> list[str]:
    told = "\n".join(f"- {cell(one)}" for one in sentences)
    return [f"### {title}", told] if told else []


def _untested(given: Answers) -> list[str]:
    """Of a gate it is most of the runbook: a comment on a pull request has that folded."""
    told = _list("Not tested", map(_one_untested, given.untested))
    if len(given.untested) <= _LONG:
        return told
    return [f"<details><summary>Not tested: {len(given.untested)} entries</summary>", *told[1:], "</details>"]


def _one_untested(one: Untested) -> str:
    drills = ", ".join(f"{name} ({because})" if because else name for name, because in one.drills)
    return f"{one.what}: {one.why}" + (f": {drills}" if drills else "")


def _findings(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    rows = ((cell(f"{one.title}: {plain(one.sentence)}"), one.severity, one.owner, str(one.since), str(one.retest))
            for one in findings)  # fmt: skip
    return ["### Open findings", table(FINDINGS, rows)]


def _row(drill: Drill) -> tuple[str, ...]:
    return (
        cell(drill.title if drill.title == drill.id else f"{drill.title} ({drill.id})"),
        f"**{cell(drill.verdict)}**" if drill.verdict != "pass" else "pass",
        seconds(drill.objective),
        UNKNOWN if drill.slowest is None else bounds(drill.slowest_low, drill.slowest),
        per_path(drill.downtime if drill.recovers else {}),
        UNKNOWN if drill.lost is None else str(drill.lost),
        UNKNOWN if drill.failed is None else str(drill.failed),
        cell(plain(drill.reason)),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def per_path(bounds: dict[str, float]) -> str:
    """Return ``frontend 1.2 s, read 3.4 s``: the paths that were down at all."""
    if not bounds:
        return UNKNOWN
    return ", ".join(f"{cell(path)} {seconds(high)}" for path, high in sorted(bounds.items()) if high) or "none"


def cell(text: str) -> str:
    """Return the text so that it cannot break out of its table cell."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
