"""What the gate holds is on the first page and in the summary, whole, and no row is green against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from drills.unit.first_page import ALL, OF_EACH, TODAY, WHOLE, drill, earlier, page, told
from fixtures.gate import violations
from fixtures.selection import Selected
from reports import past
from reports.policy import Exemption, Policy
from reports.run import UNENDED, Planned
from reports.summary import render

if TYPE_CHECKING:
    from reports.lines import Drill

NAME = ALL[1].id
DAMAGED = Planned("recovered-damaged", "A damaged volume is set aside", OF_EACH["Complete Failure"], "blocker")


def held(one: Drill, before: list[past.Run] | None = None, **declared: Any) -> tuple[str, ...]:
    """What the gate of a run holds against one drill."""
    chosen = Selected("x::test", "test", ("engine",), one.id, "x", "h", (), objective=declared.get("objective", 900.0))
    return tuple(violations([replace(chosen, section=one.section)], [one], before or [], Policy(), TODAY))


def test_a_run_that_was_killed_is_no_plain_yes() -> None:
    """All that it recorded is good; that it did not end, and that nobody searched it for secrets, is said."""
    killed = replace(WHOLE, gate=(UNENDED,))
    assert "Can we roll back today? Yes, but the gate is red." in page(ALL, run=killed)
    assert "nothing that it wrote was searched for secrets" in page(ALL, run=killed).split("Which procedures")[0]
    assert f"The gate: {UNENDED}" in render(killed, ALL, told(ALL, run=killed))


def test_a_silent_drill_keeps_its_row_from_being_green() -> None:
    """It was to run and recorded nothing: neither its case nor its procedure is shown by the other drills."""
    silent = replace(WHOLE, selected=(DAMAGED, DAMAGED))
    given = told(ALL, run=silent)
    case = next(one for one in given.issues if one.title == "Complete Failure")
    assert (case.verdict, case.passed, len(case.drills), case.lost) == ("inconclusive", 1, 2, None)
    text = page(ALL, run=silent)
    assert "Complete Failure: not shown" in text
    assert "1 of 2 drills passed" in text
    assert "inconclusive A damaged volume is set aside it recorded no verdict" in text
    assert "| **Complete Failure** | **Not shown** |" in render(silent, ALL, given)
    got_worse = told(ALL, earlier(DAMAGED.drill, (11, True, 24.0)), run=silent).changes
    assert [one.sentence for one in got_worse] == ["inconclusive; it passed on 2026-11-01"]


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        pytest.param({"writes": {"lost": 2}}, "fail", "the gate: it lost 2 acknowledged writes", id="lost"),
        pytest.param(
            {"rto_s": {"read": {"low": 890.0, "high": 901.0}}}, "fail", "the gate: it took up to 901.0 s", id="late"
        ),
        pytest.param({"writes": {}}, "inconclusive", "the gate: it passed without evidence", id="no-evidence"),
    ],
)
def test_a_pass_that_the_gate_contests_is_none(changes: dict[str, Any], verdict: str, words: str) -> None:
    """The line says pass; row, procedure, count and table of drills say what the gate found."""
    one = drill(**changes)
    run, drills = replace(WHOLE, gate=held(one)), [ALL[0], one, *ALL[2:]]
    given = told(drills, run=run)
    assert given.verdict == verdict
    assert [case.passed for case in given.issues] == [1, 0, 1, 1]
    assert f"4 drills: 1 {verdict}, 3 pass." in page(drills, run=run)
    assert words in page(drills, run=run)
    every_drill = render(run, drills, given).split("Every drill</summary>")[1]
    assert f"({NAME}) | **{verdict}** | 15 min |" in every_drill


def test_a_drill_that_is_only_slower_has_brought_users_back() -> None:
    """That is a finding, and no reason to say that one cannot roll back."""
    before = earlier(NAME, (11, True, 14.0))
    run = replace(WHOLE, gate=held(ALL[1], before))
    assert len(run.gate) == 1
    assert "Can we roll back today? Yes, but the gate is red." in page(ALL, before, run=run)


def test_nothing_that_the_gate_says_is_missing_in_the_summary() -> None:
    """A drill that is slower and has lost a write has both; what its finding says already is said once."""
    before, one = earlier(NAME, (11, True, 14.0)), drill(writes={"lost": 2})
    lost, slower = held(one, before)
    failed = drill(id="x", verdict="fail", reason="late")
    run = replace(WHOLE, gate=(lost, slower, *held(failed)), selected=(DAMAGED,))
    findings = told([one, failed], before, run=run).findings
    text = render(run, [one, failed], told([one, failed], before, run=run))
    assert f"| The gate: {lost}: " in text
    assert text.count("on 2026-11-01 at most 14.0 s") == 2, "under what got worse, and as a finding"
    assert len(findings) == 4
    of_gate = next(finding for finding in findings if finding.title.startswith("The gate"))
    assert (of_gate.owner, of_gate.drill, of_gate.severity) == ("Database Admin", NAME, "critical")


def test_a_drill_is_not_taken_for_another_one_with_a_longer_name() -> None:
    """What is held against `x-y` says nothing of `x`, which may be missing."""
    missing = drill(id="x", verdict="not tested", reason="no image")
    run = replace(WHOLE, gate=("drill x-y is fail, not pass: late",))
    assert [one.title for one in told([missing], run=run).findings] == ["The gate: drill x-y is fail, not pass: late"]


def test_an_exemption_that_has_lapsed_exempts_nothing() -> None:
    """On its last day it holds; a day later the page says that it did."""
    for until, words in (
        (TODAY, "Automated rollback : exempt until 2026-12-01: no command yet"),
        (
            date(2026, 11, 30),
            "Automated rollback : no drill of it ran; it was exempt until 2026-11-30 (no command yet)",
        ),
    ):
        policy = Policy(procedures={"Rollback Automation": Exemption("no command yet", until)})
        assert words in page(ALL, policy=policy)
    assert "The exemption of Rollback Automation has ended on 2026-11-30" in page(ALL, policy=policy)


ELSEWHERE = "8 CPUs, Docker 28.1"


def before(**changes: Any) -> list[past.Run]:
    """An earlier run of one drill, with another machine, pace or verdict."""
    figures = {"rto": 24.0, **changes.pop("figures", {})}
    point = past.Point(
        **{"day": date(2026, 11, 1), "passed": True, "machine": ALL[1].machine, "figures": figures, **changes}
    )
    return [past.Run(point.day, {NAME: point})]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"machine": ELSEWHERE}, id="other-machine"),
        pytest.param({"figures": {"pace": 30.0}}, id="other-pace"),
    ],
)
def test_what_could_not_be_compared_is_not_called_no_worse(changes: dict[str, Any]) -> None:
    """A recovery of 44 times as long on a machine of another kind accuses nobody, and is no good news either."""
    drills = [drill(pace_s=0.01, rto_s={"read": {"low": 800.0, "high": 880.0}})]
    text = page(drills, before(**changes))
    assert "Nothing" not in text
    assert "No drill fails that passed. Whether one is slower is not known: no time could be compared." in text
    sentence = "1 of 1 drills that were measured before could not be compared in time: another machine or pace"
    assert sentence in text
    assert sentence in render(WHOLE, drills, told(drills, before(**changes)))


def test_nothing_is_said_of_what_was_compared_alone() -> None:
    """One drill could be compared and one could not."""
    (there,) = before()
    both = past.Run(there.day, {**there.drills, ALL[0].id: replace(there.drills[NAME], machine=ELSEWHERE)})
    text = page(ALL, [both])
    assert "Nothing of what could be compared: no drill fails that passed" in text
    assert "1 of 2 drills that were measured before could not be compared in time" in text
    assert "could not be compared" not in page(ALL, before())


def test_runs_of_the_future_are_said() -> None:
    """A clock was wrong: that there is no earlier run would not be true."""
    text = render(WHOLE, ALL, told(ALL, ahead=2))
    assert "2 runs of the history lie in the future" in text
    assert "There is no earlier run" not in text
    assert "1 run of the history lies in the future" in page(ALL, ahead=1)
