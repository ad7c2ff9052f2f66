"""The questions that the first page answers, in the order in which somebody asks them; pure data, no layout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from reports import lines, past, runbook, sentences
from reports.findings import findings as findings_of
from reports.lines import FAIL, INCONCLUSIVE, NOT_TESTED, PASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.findings import Finding
    from reports.lines import Drill
    from reports.policy import Exemption, Policy
    from reports.run import Run

__all__ = ["Answers", "Change", "Procedure", "Untested", "answers"]

UNTESTED = "untested"
_SHOWN = 12
#: What these drills cannot show, whatever their verdict.
LIMITS = (
    "They run on a disposable copy on one host, with a small database: times on production data are longer.",
    "DNS, the network around the host, its disks and the site itself do not fail in them.",
    "Nobody is paged: how long people take to notice and to decide is not in any figure.",
)


@dataclass(frozen=True)
class Procedure:
    """What the run knows of one procedure, or of one row of the Quick Reference.

    Attributes:
        verdict: pass, fail, inconclusive, not tested, or untested: no drill of it recorded anything.
        issue: the row of the Quick Reference that a procedure counts in; empty for the others, and for such a row.
        trend: RTO of the slowest drill, upper bound, in earlier runs and in this one, oldest first, with their days.
    """

    title: str
    owner: str
    objective: float | None
    drills: tuple[Drill, ...]
    verdict: str
    trend: tuple[tuple[date, float], ...] = ()
    issue: str = ""

    @property
    def measured(self) -> list[Drill]:
        """The drills that began."""
        return [one for one in self.drills if one.verdict != NOT_TESTED]

    @property
    def slowest(self) -> Drill | None:
        """The drill that was back last; None if none was measured."""
        measured = [one for one in self.drills if one.slowest is not None]
        return max(measured, key=lambda one: one.slowest or 0.0, default=None)

    @property
    def downtime(self) -> dict[str, float]:
        """The longest downtime of each path, of drills in which a recovery is asked for: a refusal leaves the fault."""
        recover = [one for one in self.drills if one.recovers]
        paths = {path for one in recover for path in one.downtime}
        return {path: max(one.downtime.get(path, 0.0) for one in recover) for path in sorted(paths)}

    @property
    def lost(self) -> int | None:
        """Acknowledged writes that are gone; None if any drill did not account for its own."""
        return _sum(one.lost for one in self.measured)

    @property
    def uncounted(self) -> int:
        """How many drills did not get as far as accounting for their writes."""
        return sum(one.lost is None for one in self.measured)

    @property
    def announced(self) -> int:
        """The most writes of one drill that the command had told beforehand to be undone: as all figures of a row."""
        return max((one.announced or 0 for one in self.drills), default=0)

    @property
    def failed(self) -> int | None:
        """Requests broken by the rollbacks."""
        return _sum(one.failed for one in self.measured)

    @property
    def passed(self) -> int:
        """How many drills passed."""
        return sum(one.passed for one in self.drills)


@dataclass(frozen=True)
class Change:
    """One drill that is not what it was last time."""

    drill: Drill
    better: bool
    sentence: str


@dataclass(frozen=True)
class Untested:
    """What the run says nothing about, and why.

    Attributes:
        drills: of a group that one reason left out: each by its id, with why it may be, where it says so itself.
    """

    what: str
    why: str
    drills: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answers:
    """All that the first page says.

    Attributes:
        compared: the day of the newest earlier run that has any of these drills; None: there is none.
        ran: how many drills began.
        fresh: how many of them were in no earlier run.
        timed: how many of them measured a recovery and were in an earlier run.
        apart: how many of those have no earlier time to be held against: another machine or pace, or no pass.
        ahead: how many runs of the history lie in the future.
    """

    day: date
    issues: tuple[Procedure, ...]
    procedures: tuple[Procedure, ...]
    changes: tuple[Change, ...]
    compared: date | None
    ran: int
    fresh: int
    timed: int
    apart: int
    ahead: int
    untested: tuple[Untested, ...]
    findings: tuple[Finding, ...]
    decisions: tuple[str, ...]
    due: date

    @property
    def verdict(self) -> str:
        """Whether one can roll back today: the worst row of the Quick Reference."""
        return _worst([one.verdict for one in self.issues])


def answers(  # noqa: PLR0913 -- all that a page is made of
    run: Run, drills: Sequence[Drill], earlier: Sequence[past.Run], policy: Policy, today: date, *, ahead: int = 0
) -> Answers:
    """Answer every question from what was recorded; what nobody recorded is untested, never good."""
    day = _day(run.started) or today
    counted = [*sentences.judged(drills, run.gate), *_silent(run, drills)]
    procedures, findings = tuple(_procedures(counted, earlier, day)), findings_of(run, drills, earlier, day)
    untested = tuple(_untested(run, drills, procedures, policy, day))
    changes = tuple(_changes(counted, earlier))
    return Answers(
        day=day,
        issues=tuple(_issue(name, goal, counted, earlier, day) for name, goal in runbook.QUICK_REFERENCE.items()),
        procedures=procedures,
        changes=changes,
        **_compared(drills, earlier),
        ahead=ahead,
        untested=untested,
        findings=findings,
        decisions=tuple(_decisions(findings, untested, changes, policy, day)),
        due=_next_month(day),
    )


def _silent(run: Run, drills: Sequence[Drill]) -> Iterable[Drill]:
    """The drills that were to run and recorded nothing: they count, and show nothing."""
    recorded = {one.id for one in drills}
    for plan in {one.drill: one for one in run.selected if one.drill not in recorded}.values():
        said = {"verdict": INCONCLUSIVE, "reason": "it recorded no verdict"}
        about = {"id": plan.drill, "title": plan.title, "section": plan.section, "severity": plan.severity}
        yield lines.parse({**about, **said})


def _compared(drills: Sequence[Drill], earlier: Sequence[past.Run]) -> dict[str, Any]:
    """What the run could be held against: by verdict, and by time."""
    ran = {one.id for one in drills if one.verdict != NOT_TESTED}
    known = ran & {name for was in earlier for name in was.drills}
    timed = {one.id: past.comparable(one, earlier) for one in drills if one.id in known and one.slowest is not None}
    return {
        "compared": max((was.day for was in earlier if ran & was.drills.keys()), default=None),
        "ran": len(ran),
        "fresh": len(ran - known),
        "timed": len(timed),
        "apart": sum(point is None for point in timed.values()),
    }


def _issue(name: str, goal: float, drills: Sequence[Drill], earlier: Sequence[past.Run], day: date) -> Procedure:
    sections = [one for one in runbook.SECTIONS if one.issue == name]
    fit = tuple(one for one in drills if runbook.section(one.section).issue == name)
    owner = sections[0].owner if sections else ""
    return Procedure(name, owner, goal, fit, _verdict(fit), _trend(fit, earlier, day))


def _procedures(drills: Sequence[Drill], earlier: Sequence[past.Run], day: date) -> Iterable[Procedure]:
    known = [one.name for one in runbook.SECTIONS]
    others = sorted({one.section for one in drills if runbook.section(one.section).name not in known})
    for section in (*runbook.SECTIONS, *map(runbook.section, others)):
        fit = tuple(one for one in drills if runbook.section(one.section) == section)
        goals = [one.objective for one in fit if one.objective is not None]
        goal = max(goals, default=None)
        trend = _trend(fit, earlier, day)
        yield Procedure(section.title, section.owner, goal, fit, _verdict(fit), trend, section.issue)


def _verdict(drills: Sequence[Drill]) -> str:
    return _worst([one.verdict for one in drills])


def _worst(verdicts: Sequence[str]) -> str:
    """Return the worst; nothing at all is untested, and a word that nobody knows is a failure."""
    ranks = {FAIL: 0, INCONCLUSIVE: 1, UNTESTED: 2, NOT_TESTED: 3, PASS: 4}
    return min((one if one in ranks else FAIL for one in verdicts), key=ranks.__getitem__, default=UNTESTED)


def _trend(drills: Sequence[Drill], earlier: Sequence[past.Run], day: date) -> tuple[tuple[date, float], ...]:
    """Return the RTO of the drill that is slowest now, over the runs on a machine of its kind: like with like."""
    slow = max((one for one in drills if one.slowest is not None), key=lambda one: one.slowest or 0.0, default=None)
    if slow is None or slow.slowest is None or math.isinf(slow.slowest):
        return ()
    seen = [run.drills[slow.id] for run in earlier if slow.id in run.drills]
    points = [(one.day, one.rto) for one in seen if one.rto is not None and one.machine == slow.machine]
    return (*points[-_SHOWN:], (day, slow.slowest))


def _changes(drills: Sequence[Drill], earlier: Sequence[past.Run]) -> Iterable[Change]:
    for drill in drills:
        before = [run.drills[drill.id] for run in earlier if drill.id in run.drills]
        if not before:
            continue
        if not drill.passed and before[-1].passed:
            yield Change(drill, better=False, sentence=f"{drill.verdict}; it passed on {before[-1].day}")
        elif drill.passed and not before[-1].passed:
            yield Change(drill, better=True, sentence=f"passes; it did not on {before[-1].day}")
        if told := past.worse(drill, earlier):
            yield Change(drill, better=False, sentence=told)


def _untested(
    run: Run, drills: Sequence[Drill], procedures: Sequence[Procedure], policy: Policy, day: date
) -> Iterable[Untested]:
    recorded = {one.id for one in drills}
    for section, procedure in zip(runbook.SECTIONS, procedures, strict=False):
        if not any(one.id in recorded for one in procedure.drills):
            yield Untested(section.title, _undrilled(run, section, policy.procedures.get(section.name), day))
    for drill in drills:
        if drill.verdict == NOT_TESTED:
            yield Untested(drill.title, drill.reason)
    for plan in run.selected:
        if plan.drill not in recorded:
            yield Untested(plan.title, "it should have run and recorded nothing")
    for why in sorted({plan.why for plan in run.left}):
        left = {(plan.drill, plan.because) for plan in run.left if plan.why == why and plan.drill not in recorded}
        if left:
            yield Untested(f"{len(left)} drill{'s' * (len(left) > 1)}", why, tuple(sorted(left)))


def _undrilled(run: Run, section: runbook.Section, exempt: Exemption | None, day: date) -> str:
    if exempt is None:
        return _left_out(run, section)
    if exempt.holds(day):
        return f"exempt until {exempt.until}: {exempt.reason}"
    return f"{_left_out(run, section)}; it was exempt until {exempt.until} ({exempt.reason})"


def _left_out(run: Run, section: runbook.Section) -> str:
    """Say why no drill of a procedure ran: as it was asked for, where that is known."""
    if any(runbook.section(plan.section) == section for plan in run.selected):
        return "what should have run of it recorded nothing"
    reasons = sorted({plan.why for plan in run.left if runbook.section(plan.section) == section})
    picked = "none of its drills was asked for" if run.selected and not run.complete else "no drill of it ran"
    return "; ".join(reasons) or picked


def _decisions(
    findings: Sequence[Finding], untested: Sequence[Untested], changes: Sequence[Change], policy: Policy, day: date
) -> Iterable[str]:
    for one in findings:
        late = " The day for that has passed." if one.retest < day else ""
        what = f"{one.title} ({one.verdict})" if one.verdict else one.title
        yield f"{what}: have the cause found and it drilled again by {one.retest}, or say why not.{late}"
    if any(not one.better for one in changes):
        yield "What got worse: accept it, or have the cause found before the next release."
    if untested:
        until = f"until the next drill, {_next_month(day)}"
        yield f"{len(untested)} entries under “not tested”: live with that {until}, or have them drilled."
    for name, exempt in {**policy.drills, **policy.procedures}.items():
        if exempt.until - day < timedelta(days=31):
            ends = f"ends on {exempt.until}" if exempt.holds(day) else f"has ended on {exempt.until}"
            yield f"The exemption of {name} {ends} ({exempt.reason}): prolong it or end it."


def _sum(counts: Iterable[int | None]) -> int | None:
    total, seen = 0, False
    for count in counts:
        if count is None:
            return None
        total, seen = total + count, True
    return total if seen else None


def _day(stamp: str) -> date | None:
    return datetime.fromisoformat(stamp).astimezone(UTC).date() if stamp else None


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
