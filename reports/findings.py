"""What is open after a run: whose it is, since when, and until when it has to be drilled again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from reports import past, runbook, sentences
from reports.lines import NOT_TESTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.lines import Drill
    from reports.run import Run

__all__ = ["Finding", "findings"]

#: Days until a finding has to be drilled again, by severity; after NIST SP 800-84 none may take longer than a month.
RETEST_DAYS = {"blocker": 7, "critical": 14}
_RETEST_DAYS = 30


@dataclass(frozen=True)
class Finding:
    """One thing that is open: who has it, since when, and when it has to be drilled again."""

    title: str
    sentence: str
    severity: str
    owner: str
    since: date
    retest: date
    command: str = ""
    drill: str = ""
    verdict: str = ""


def findings(run: Run, drills: Sequence[Drill], earlier: Sequence[past.Run], day: date) -> tuple[Finding, ...]:
    """Return all that is open: of the drills, of those that recorded nothing, and what the gate holds beside them."""
    found = (*_of_drills(drills, earlier, day, run.gate), *_silent(run, drills, day))
    said = {*_said(run, drills, earlier)}
    rest = [_held(sentence, drills, day) for sentence in run.gate if sentence not in said]
    return tuple(sorted((*found, *rest), key=lambda one: (one.retest, one.title)))


def _said(run: Run, drills: Sequence[Drill], earlier: Sequence[past.Run]) -> Iterable[str]:
    """The sentences of the gate that the finding of a drill says as well; every other one is a finding of its own."""
    recorded = {one.id for one in drills}
    yield from (sentences.silent(one.drill) for one in run.selected if one.drill not in recorded)
    for drill in drills:
        yield from (sentences.not_passed(drill), sentences.untested(drill))
        if drill.passed and (told := past.worse(drill, earlier)):
            yield sentences.worse(drill.id, told)


def _held(sentence: str, drills: Sequence[Drill], day: date) -> Finding:
    """In the title, which is never cut: with the drill that it is about, if it is about one."""
    title, why = f"The gate: {sentence}", "the run is red by it"
    drill = next((one for one in drills if sentences.about(one.id, [sentence])), None)
    if drill is None:
        return _finding(title, why, "critical", "", day)
    return replace(_finding(title, why, drill.severity, drill.section, day, drill), verdict="")


def _of_drills(
    drills: Sequence[Drill], earlier: Sequence[past.Run], day: date, gate: Sequence[str]
) -> Iterable[Finding]:
    for drill in drills:
        told = past.worse(drill, earlier)
        if drill.passed and not told:
            continue
        if drill.verdict == NOT_TESTED and not sentences.about(drill.id, gate):
            continue
        # some reasons begin with their verdict
        sentence = told if drill.passed else f"{drill.verdict}: {drill.reason.removeprefix(f'{drill.verdict}: ')}"
        yield _finding(drill.title, sentence, drill.severity, drill.section, _since(drill, earlier, day), drill)


def _silent(run: Run, drills: Sequence[Drill], day: date) -> Iterable[Finding]:
    recorded = {one.id for one in drills}
    for plan in run.selected:
        if plan.drill not in recorded:
            one = _finding(plan.title, "it recorded no verdict", plan.severity, plan.section, day)
            yield replace(one, drill=plan.drill)


def _finding(  # noqa: PLR0913, PLR0917 -- the columns of a finding
    title: str, sentence: str, severity: str, section: str, since: date, drill: Drill | None = None
) -> Finding:
    retest = since + timedelta(days=RETEST_DAYS.get(severity, _RETEST_DAYS))
    owner = runbook.section(section).owner
    command, name, verdict = (drill.command, drill.id, drill.verdict) if drill else ("", "", "")
    return Finding(title, sentence, severity or "normal", owner, since, retest, command, name, verdict)


def _since(drill: Drill, earlier: Sequence[past.Run], day: date) -> date:
    """Return the day of the first of the runs without a pass that led to this one."""
    since = day
    for run in reversed(earlier):
        point = run.drills.get(drill.id)
        if point is not None and point.passed:
            break
        since = run.day if point is not None else since
    return since
