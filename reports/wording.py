"""How figures and verdicts are put into words, the same on the first page, in summary.md and in the README."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from reports import sentences
from reports.answers import UNTESTED
from reports.kind import kind
from reports.lines import FAIL, INCONCLUSIVE, NOT_TESTED, PASS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from reports.answers import Answers
    from reports.lines import Drill
    from reports.run import Run

__all__ = [
    "answered",
    "bounds",
    "changed",
    "described",
    "headline",
    "identity",
    "outcome",
    "plain",
    "seconds",
    "short",
    "uncompared",
    "word",
]

UNKNOWN = "-"
ANSWERS = {
    PASS: "Yes",
    FAIL: "No",
    INCONCLUSIVE: "Not shown",
    NOT_TESTED: "Not all of it",
    UNTESTED: "Not shown",
}
GATE = "gate"
_LONG = 300
_MINUTE = 60


def word(verdict: str) -> str:
    """Return the verdict of a procedure in words."""
    return "not drilled" if verdict == UNTESTED else verdict


def seconds(value: float | None) -> str:
    """Return the seconds with one decimal, rounded up: an upper bound stays one. Whole minutes are minutes."""
    if value is None:
        return UNKNOWN
    if math.isinf(value):
        return "not within the drill"
    if value >= _MINUTE and value % _MINUTE == 0:
        return f"{value / _MINUTE:g} min"
    return f"{math.ceil(round(value * 10, 6)) / 10:.1f} s"


def bounds(low: float | None, high: float | None) -> str:
    """Return ``2.1 to 2.4 s``: rounded down and up, so that the truth stays between."""
    if high is None or low is None or math.isinf(high):
        return seconds(high)
    return f"{math.floor(round(low * 10, 6)) / 10:.1f} to {seconds(high) if high % _MINUTE else f'{high:.1f} s'}"


def changed(trend: Sequence[tuple[date, float]]) -> str:
    """Return by how much the newest time differs from the one before, and since when."""
    if len(trend) < 2:  # noqa: PLR2004 -- of two
        return "no earlier run"
    (day, then), (_, now) = trend[-2:]
    return f"{now / then - 1:+.0%} since {day}" if then else f"{now:+.1f} s since {day}"


def uncompared(given: Answers) -> list[str]:
    """Return of what no change is known, a sentence each; empty if all was compared."""
    told = []
    if given.ahead:
        are = "1 run of the history lies" if given.ahead == 1 else f"{given.ahead} runs of the history lie"
        told.append(f"{are} in the future, and nothing was compared with that: a clock was wrong, then or now.")
    if given.compared is None:
        none = "There is no other run" if given.ahead else "There is no earlier run"
        told.append(f"{none} to compare with: no drill of this run was in an earlier one.")
    elif given.fresh:
        told.append(
            f"{given.fresh} of {given.ran} drills were in no earlier run: nothing is known of a change in them."
        )
    if given.apart:
        which = f"{given.apart} of {given.timed} drills that were measured before could not be compared in time"
        told.append(f"{which}: another machine or pace, or no pass to hold them against.")
    return told


def outcome(drill: Drill) -> str:
    """Return how long users were without what, and what they lost, as one line; empty if nothing was measured."""
    away = ", ".join(f"{path} {seconds(high)}" for path, high in sorted(drill.downtime.items()) if high)
    by_whom = "down at most" if drill.recovers else "not meant to bring users back; they were without, at most"
    parts = [
        f"back {'after ' * (drill.slowest != math.inf)}{bounds(drill.slowest_low, drill.slowest)}" if drill.rto else "",
        f"{by_whom}: {away}" if away else "",
        "" if drill.lost is None else f"writes lost: {drill.lost}",
        f"writes undone as announced: {drill.announced}" if drill.announced else "",
        f"requests broken: {drill.failed}" if drill.failed else "",
    ]
    return "; ".join(filter(None, parts)).capitalize()


def plain(text: str) -> str:
    """Return a reason as one line of bearable length; the whole one is in the drill."""
    line = " ".join(text.split())
    return line if len(line) <= _LONG else f"{line[: _LONG - 1]}…"


def answered(verdict: str, run: Run) -> str:
    """Return whether one can, in a word or two; a partial run says yes to nothing."""
    return "As far as drilled" if verdict == PASS and not run.complete else ANSWERS[verdict]


def headline(run: Run, given: Answers) -> tuple[str, str]:
    """Return the answer to the question of the page, and the sentence that goes with it."""
    shown = [one for one in given.issues if one.verdict == PASS]
    answer = f"{ANSWERS[given.verdict]}."
    if given.verdict != FAIL and not run.complete:
        green = run.asked == GATE and run.whole and not run.gate
        answer = "As far as the gate of a release goes: yes." if green else "Not shown: this was a partial run."
    elif given.verdict != FAIL and shown and len(shown) < len(given.issues):
        answer = f"In {len(shown)} of {len(given.issues)} cases."
    elif run.gate and given.verdict == PASS:
        answer = "Yes, but the gate is red."
    # what is in none of the four cases is named only where it is bad news
    bad = [one for one in given.procedures if not one.issue and one.verdict in {FAIL, INCONCLUSIVE}]
    parts = [f"{one.title}: {answered(one.verdict, run).lower()}" for one in (*given.issues, *bad)]
    partial = "" if run.complete else " It stands for no monthly drill."
    held = f" The gate holds {len(run.gate)} sentence{'s' * (len(run.gate) != 1)} against it." if run.gate else ""
    return answer, f"{'; '.join(parts)}.{held}{partial}"


def described(run: Run, drills: Sequence[Drill]) -> tuple[str, str]:
    """Return what kind of run it was, and in a line what for, how many drills it had, and what became of them."""
    this = kind(run)
    silent = len({one.drill for one in run.selected} - {one.id for one in drills})
    missing = f" {silent} more recorded nothing." if silent else ""
    return this.name[:1].upper() + this.name[1:], f"{this.what}. {counted(sentences.judged(drills, run.gate))}{missing}"


def counted(drills: Sequence[Drill]) -> str:
    """Return one sentence: how many drills, and how many of each verdict."""
    if not drills:
        return "No drill recorded a verdict."
    counts = Counter(drill.verdict for drill in drills)
    parts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return f"{len(drills)} drill{'s' if len(drills) > 1 else ''}: {parts}."


def short(head: str) -> str:
    """A commit by its first digits; a sentence that says why there is none stays whole."""
    return head if " " in head else head[:12]


def _seed(drills: Sequence[Drill]) -> str:
    """The one of the run; each drill's, where lines of several runs lie together."""
    seeds = {one.id: str(one.seed) for one in drills if one.seed is not None}
    one = {*seeds.values()}
    return ", ".join(one if len(one) == 1 else (f"{name} {seed}" for name, seed in seeds.items()))


def identity(run: Run, drills: Sequence[Drill]) -> list[tuple[str, str]]:
    """Return what identifies the run, by name; what nobody recorded is left out."""
    heads = sorted(
        {f"{short(one.git_head)}{', with uncommitted changes' * one.dirty}" for one in drills if one.git_head}
    )
    names = sorted({name for one in drills for name in one.versions})
    versions = [(name, ", ".join(sorted({one.versions[name] for one in drills if name in one.versions})))
                for name in names]  # fmt: skip
    images = sorted({f"{name} {image[:19]}" for one in drills for name, image in one.images.items()})
    facts = [
        ("run it again", run.command),
        ("started", run.started),
        ("ended", run.ended),
        *run.facts.items(),
        ("code of the drills", ", ".join(heads)),
        *versions,
        ("seed", _seed(drills)),
        ("images", ", ".join(images)),
    ]
    return [(name, value) for name, value in facts if value]
