"""The first page answers in the order in which somebody asks, and claims nothing that nobody recorded."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from drills.unit.first_page import ALL, OF_EACH, TODAY, WHOLE, drill, earlier, page, told
from reports import lines, measured, metrics
from reports.front import front
from reports.policy import Exemption, Policy
from reports.run import Planned, Run
from reports.summary import render

INTERRUPTED = "Application Rollback / Interrupted"


@pytest.mark.parametrize(
    ("drills", "answer"),
    [
        pytest.param(ALL, "Can we roll back today? Yes.", id="all-pass"),
        pytest.param(
            [*ALL, drill(id="x", verdict="fail", reason="late")], "Can we roll back today? No.", id="one-fails"
        ),
        pytest.param([*ALL, drill(id="x", verdict="odd")], "Can we roll back today? No.", id="unknown-verdict"),
        pytest.param(ALL[:3], "Can we roll back today? In 3 of 4 cases.", id="one-undrilled"),
        pytest.param([*ALL[:3], drill(OF_EACH["Complete Failure"], verdict="inconclusive")], "In 3 of 4", id="thin"),
        pytest.param([], "Can we roll back today? Not shown.", id="nothing"),
    ],
)
def test_the_first_answer_is_the_worst_that_is_known(drills: list[lines.Drill], answer: str) -> None:
    """Yes needs a pass for each row of the Quick Reference; silence is no answer."""
    assert answer in page(drills)


def test_a_red_gate_is_never_a_plain_yes() -> None:
    """All drills passed and the gate holds something against the run: both are said."""
    run = Run(**{**WHOLE.__dict__, "gate": ("procedure X was not drilled",)})
    assert "Yes, but the gate is red. " in page(ALL, run=run)
    assert "procedure X was not drilled" in page(ALL, run=run)


def test_what_the_gate_holds_against_a_drill_that_passed_is_a_finding() -> None:
    """A drill that fails has its own finding; one that passed without evidence has the gate's sentence."""
    passed = f"drill {ALL[0].id} passed without evidence: its writes were not accounted for"
    run = Run(**{**WHOLE.__dict__, "gate": (passed, "drill x is fail, not pass: late")})
    findings = told([*ALL, drill(id="x", verdict="fail", reason="late")], run=run).findings
    assert [one.title for one in findings if one.title.startswith("The gate")] == [f"The gate: {passed}"]
    assert len(findings) == 2


def test_a_partial_run_says_so() -> None:
    """One drill by hand is no monthly drill."""
    partial = Run(**{**WHOLE.__dict__, "complete": False})
    assert "Can we roll back today? Not shown: this was a partial run. App Error: as far as drilled" in page(
        ALL, run=partial
    )
    assert "Can we roll back today? No." in page([drill(verdict="fail")], run=partial)
    assert "partial run" not in page(ALL)
    assert "no monthly drill" not in page(ALL)


def test_the_gate_of_a_release_answers_for_itself() -> None:
    """Green it is a yes as far as it goes, red it is none, a part of it is none, and it is no monthly drill."""
    gate = Run(**{**WHOLE.__dict__, "complete": False, "asked": "gate", "whole": True})
    assert "today? As far as the gate of a release goes: yes. " in page(ALL[:2], run=gate)
    assert "It stands for no monthly drill." in page(ALL[:2], run=gate)
    part = Run(**{**gate.__dict__, "whole": False, "narrowed": ("drills/database",)})
    assert "today? Not shown: this was a partial run." in page(ALL[:2], run=part)
    red = Run(**{**gate.__dict__, "gate": ("drill a is worse than last time",)})
    assert "today? Not shown: this was a partial run." in page(ALL[:2], run=red)
    assert "today? No." in page([drill(verdict="fail")], run=red)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        pytest.param({"asked": "monthly", "complete": True}, "The monthly drill : every procedure of", id="monthly"),
        pytest.param(
            {"asked": "", "complete": True}, "The tests : every procedure of the runbook, each by", id="tests"
        ),
        pytest.param({"asked": "gate", "whole": True}, "The gate of a release : a drill of each chapter", id="gate"),
        pytest.param({"asked": "exhaustive", "whole": True}, "The exhaustive set : the variations", id="exhaustive"),
        pytest.param({"asked": "database", "whole": True}, "The drills of -m database : chosen by", id="markers"),
        pytest.param(
            {"asked": "gate", "narrowed": ("drills/database",)},
            "A part of the gate of a release : asked for by drills/database. 4 drills: 4 pass.",
            id="part",
        ),
        pytest.param(
            {"narrowed": ("a::b", "c::d", "e::f", "g::h")},
            "Drills picked by hand : asked for by a::b, c::d, e::f and 1 more. 4 drills: 4 pass.",
            id="by-hand",
        ),
        pytest.param({}, "A partial run : how it was asked for is not recorded.", id="unknown"),
    ],
)
def test_the_head_says_which_kind_of_run_it_was(run: dict[str, Any], words: str) -> None:
    """Derived from how it was asked for; in both layouts, before the answer."""
    one = Run(**{**WHOLE.__dict__, "complete": False, **run})
    assert words in page(ALL, run=one).split("Can we roll back today?")[0]
    assert words.replace(" :", "**, 2026-12-01:") in render(one, ALL, told(ALL, run=one)).split("Can we roll")[0]


def test_the_head_says_how_many_drills_are_silent() -> None:
    """A run that was interrupted does not look like one that had no more to do."""
    run = Run(**{**WHOLE.__dict__, "selected": tuple(Planned(name, "", "", "") for name in ("x", "y", ALL[0].id))})
    assert "4 drills: 4 pass. 2 more recorded nothing. Can we" in page(ALL, run=run)


def test_every_procedure_has_its_row_in_one_table_the_four_cases_first() -> None:
    """Breach, monitoring and certificates stand where the four stand; what was not drilled says why."""
    html = front(WHOLE, ALL, told(ALL), {})
    table = html.split("<h2>Which procedures")[1].split("</table>")[0]
    assert html.count("<table>") == 1
    places = [table.index(f">{one.title}<br>") for one in (*told(ALL).issues, *told(ALL).procedures)]
    assert places == sorted(places)
    text = page(ALL)
    assert "if this happens, can we? App Error 1 of 1 drills passed Application · Application, interrupted ·" in text
    assert "Security breach not drilled no drill of it ran" in text
    assert "Application 1 of 1 drills passed App Error pass 15 min" in text


def test_bad_news_of_a_procedure_outside_of_the_four_cases_is_in_the_first_answer() -> None:
    """The four cases are a yes, and a breach is a no."""
    breach = drill("Emergency Procedures / Security Breach Response", verdict="fail", reason="still inside")
    run = Run(**{**WHOLE.__dict__, "gate": (f"drill {breach.id} is fail, not pass: still inside",)})
    text = page([*ALL, breach], run=run)
    assert "Yes, but the gate is red. App Error: yes; DB Error: yes; Config Error: yes; Complete Failure: yes; " in text
    assert "; Security breach: no. " in text
    assert '<section class="answer open">' in front(run, [*ALL, breach], told([*ALL, breach], run=run), {})


def test_a_procedure_shows_its_worst_figures() -> None:
    """The slowest drill's bounds, the longest downtime, what was lost and what was announced."""
    slow = drill(id="x", rto_s={"ml": {"low": 80.0, "high": 90.3}}, downtime_s={"read": {"low": 1, "high": 200.05}})
    text = page([*ALL, slow])
    of_it = "One migration · Full restoration · Schema only · Data corruption"
    figures = "Yes 15 min 80.0 to 90.3 s read 200.1 s 0 up to 3 as announced"
    assert f"DB Error 2 of 2 drills passed {of_it} {figures}" in text


def test_a_drill_says_what_happened_without_a_click_on_it() -> None:
    """What went wrong, what was typed, how long users were without what, and what they lost."""
    story = "v4.0.0 is withdrawn, and with it its migration."
    more: dict[str, Any] = {"typed": ["rollback migration 012"], "downtime_s": {"read": {"low": 3, "high": 4.01}}}
    assert (
        f"{story} Typed: rollback migration 012 "
        "Back after 22.0 to 24.0 s; down at most: read 4.1 s; writes lost: 0; writes undone as announced: 3"
    ) in page([drill(story=story, **more)])
    never = page([drill(rto_s={"ml": {"low": 30.0, "high": None}}, downtime_s={}, writes={}, requests={"failed": 2})])
    assert "Back not within the drill; requests broken: 2" in never


def test_what_users_miss_while_a_command_rightly_refuses_is_no_downtime_of_its_procedure() -> None:
    """The bad release serves on because it must: said at the drill, in no maximum, in no figure of the gate."""
    refusal = drill(id="x", objective_s=None, rto_s={}, downtime_s={"write": {"low": 30.0, "high": 33.7}})
    assert told([*ALL, refusal]).issues[1].downtime == {"read": 31.0}
    assert "Not meant to bring users back; they were without, at most: write 33.7 s" in page([*ALL, refusal])
    assert "write 33.7 s" not in render(WHOLE, [refusal], told([refusal]))
    assert "write 33.7 s" not in measured.render([refusal])
    assert "x.downtime" not in {sample["key"] for sample in metrics.samples([refusal], 0)}


def test_a_loss_that_one_drill_did_not_account_for_is_not_zero() -> None:
    """The sum of an unknown is unknown."""
    given = told([*ALL, drill(id="x", writes={}, verdict="fail")])
    assert given.issues[1].lost is None
    assert "0 1 not counted" in page([*ALL, drill(id="x", writes={}, verdict="fail")])


def test_what_got_worse_is_said_first_and_what_got_better_too() -> None:
    """A drill that passed and fails, one that failed and passes, and one that is slower by half."""
    name = ALL[1].id
    failing = [drill(verdict="fail", reason="late")]
    assert "fail; it passed on 2026-11-01" in page(failing, earlier(name, (11, True, 24.0)))
    assert "passes; it did not on 2026-11-01" in page(ALL, earlier(name, (11, False, 24.0)))
    assert "on 2026-11-01 at most 14.0 s: 57% more" in page(ALL, earlier(name, (11, True, 14.0)))
    assert "Nothing: no drill fails that passed" in page(ALL, earlier(name, (11, True, 24.0)))
    assert "There is no earlier run to compare with" in page(ALL)


def test_nothing_is_said_to_be_no_worse_than_what_never_ran() -> None:
    """An earlier run of other drills is no measure; what this run has that the earlier ones had not is counted."""
    others = earlier("another", (11, True, 24.0))
    assert told(ALL, others).compared is None
    assert "no drill of this run was in an earlier one" in page(ALL, others)
    text = page(ALL, [*earlier(ALL[1].id, (10, True, 24.0)), *others])
    assert "What got worse since 2026-10-01 Nothing" in text
    assert "3 of 4 drills were in no earlier run: nothing is known of a change in them." in text


def test_three_months_are_three_points() -> None:
    """Of the drill that is slowest now, oldest first; what another kind of machine measured is no point."""
    past = earlier(ALL[1].id, (9, True, 20.0), (10, True, 26.0))
    html = front(WHOLE, ALL, told(ALL, past), {})
    assert "RTO, upper bound: 2026-09-01: 20.0 s, 2026-10-01: 26.0 s, 2026-12-01: 24.0 s" in html
    assert html.split("2026-12-01: 24.0 s")[1].split("</svg>")[0].count("<circle") == 3
    assert "-8% since 2026-10-01" in html
    elsewhere = [drill(machine="8 CPUs, Docker 29.0")]
    assert "<polyline" not in front(WHOLE, elsewhere, told(elsewhere, past), {})


def test_everything_that_was_not_tested_has_its_reason() -> None:
    """No drill, left out, never recorded, or said so itself."""
    run = Run(
        **{
            **WHOLE.__dict__,
            "selected": (Planned("gone", "A drill that crashed", OF_EACH["App Error"], "blocker"),),
            "left": (
                Planned("twin-a", "A", "", "", "of the exhaustive set", "the harder twin-c always runs"),
                Planned("twin-b", "B", "", "", "of the exhaustive set"),
                Planned("killed", "K", INTERRUPTED, "", "not selected by -m monthly"),
                Planned("other", "O", "", "", "not selected by -m monthly"),
            ),
        }
    )
    drills = [*ALL, drill(id="g", title="Grafana goes back", verdict="not tested", reason="its image cannot be had")]
    policy = Policy(procedures={"Rollback Automation": Exemption("no command yet", date(2027, 1, 1))})
    text = page(drills, run=run, policy=policy)
    assert "Automated rollback : exempt until 2027-01-01: no command yet" in text
    assert "nginx : no drill of it ran" in text
    assert "Grafana goes back : its image cannot be had" in text
    assert "A drill that crashed : it should have run and recorded nothing" in text
    assert "2 drills: of the exhaustive set twin-a : the harder twin-c always runs twin-b" in text
    assert "2 drills: not selected by -m monthly killed , other" in text
    assert "Application, interrupted : not selected by -m monthly" in text
    lines_of_summary = render(run, drills, told(drills, run=run)).splitlines()
    assert "- 2 drills: of the exhaustive set: twin-a (the harder twin-c always runs), twin-b" in lines_of_summary


def test_a_procedure_of_which_nothing_was_asked_for_says_so() -> None:
    """Drills picked by hand leave out the others for no other reason."""
    picked = Run(**{**WHOLE.__dict__, "complete": False, "selected": (Planned(ALL[0].id, "A", "", ""),)})
    assert "Full restoration : none of its drills was asked for" in page(ALL[:1], run=picked)
    crashed = Planned("restored", "A", "Database Rollback / Full Database Restoration", "")
    silent = Run(**{**picked.__dict__, "selected": (crashed,)})
    assert "Full restoration : what should have run of it recorded nothing" in page(ALL[:1], run=silent)


def test_a_finding_has_an_owner_and_a_day() -> None:
    """Open since the first run without a pass; critical ones are drilled again within two weeks of that."""
    name = ALL[1].id
    past = earlier(name, (9, True, 24.0), (10, False, 24.0), (11, False, 24.0))
    text = page([drill(verdict="fail", reason="ledger: 2 lost")], past)
    assert "fail: ledger: 2 lost" in text
    assert "Database Admin, dba@company.com 2026-10-01 2026-10-15 , overdue" in text
    assert "The day for that has passed." in text
    fresh = told([drill(verdict="fail", severity="blocker")]).findings[0]
    assert (fresh.since, fresh.retest) == (TODAY, date(2026, 12, 8))


def test_what_the_gate_holds_stands_under_the_answer() -> None:
    """Who reads No reads why, without looking for it; of many sentences the first five."""
    sentences = tuple(f"drill x{number} is fail, not pass" for number in range(7))
    text = page(ALL, run=Run(**{**WHOLE.__dict__, "gate": sentences}))
    answer = text[: text.index("Which procedures")]
    assert all(one in answer for one in sentences[:5])
    assert sentences[5] not in answer
    assert "and 2 more: see the open findings" in answer


def test_the_most_pressing_finding_comes_first() -> None:
    """With its severity in both layouts, and as what it is: a fail, or too little evidence."""
    drills = [
        drill(id="a", title="A", severity="minor", verdict="inconclusive", reason="too few samples"),
        drill(id="b", title="B", severity="blocker", verdict="fail", reason="lost"),
    ]
    given = told(drills)
    assert [one.title for one in given.findings] == ["B", "A"]
    assert given.decisions[0].startswith("B (fail): have the cause found and it drilled again by 2026-12-08")
    assert "| B: fail: lost | blocker |" in render(WHOLE, drills, given)


def test_what_is_to_be_decided_ends_with_a_place_to_sign() -> None:
    """Exemptions that are about to end are a decision; the next drill is due on the first of the next month."""
    policy = Policy(procedures={"Rollback Automation": Exemption("no command yet", date(2026, 12, 20))})
    text = page(ALL, policy=policy)
    assert "The exemption of Rollback Automation ends on 2026-12-20 (no command yet): prolong it or end it." in text
    assert "Next drill due: 2027-01-01" in text
    assert "accepted, with the conditions above" in text
    assert "Name Date Signature" in text


def test_the_run_can_be_identified_and_repeated() -> None:
    """Commit, versions, seeds, images and what was typed."""
    run = Run(**{**WHOLE.__dict__, "facts": {"commit": "0123456789ab with uncommitted changes"}})
    one = drill(versions={"postgres": "15.20"}, seed=42, images={"backend": "sha256:aabbccddeeff00"})
    text = page([one], run=run)
    for words in (
        "0123456789ab with uncommitted changes",
        "postgres 15.20",
        "seed 42",
        "backend sha256:aabbccddeeff",
        "run it again pytest drills/ -m monthly -n 2",
    ):
        assert words in text
    assert f"seed {one.id} 42, x 43" in page([one, drill(id="x", seed=43)], run=run)


def test_nothing_that_was_recorded_is_taken_for_markup() -> None:
    """Titles and reasons come from drills, and from what servers answered."""
    html = front(WHOLE, [drill(reason="<script>x</script>", verdict="fail")], told([drill()]), {})
    assert "<works>" not in html
    assert html.count("<script>") == 1


def test_a_drill_leads_to_its_story() -> None:
    """Where the page tells it; a drill without a place is no dead link."""
    html = front(WHOLE, ALL, told(ALL), {ALL[0].id: "#abc"})
    assert html.count('href="#abc"') == 1


def test_the_summary_says_the_same() -> None:
    """One model, two layouts."""
    drills = [*ALL[:3], drill(verdict="fail", id="x", reason="2 | lost")]
    text = render(WHOLE, drills, told(drills))
    assert "**Can we roll back today? No.** App Error: yes; DB Error: no" in text
    assert "| **DB Error** | **No** | 15 min | 22.0 to 24.0 s |" in text
    figures = "15 min | 22.0 to 24.0 s | read 31.0 s | 0, up to 3 as announced | no earlier run | 1 of 2 passed |"
    assert f"| One migration | **fail** | {figures}" in text
    assert "| Blue-green |" not in text
    assert r"fail: 2 \| lost" in text
    assert "Next drill due: 2027-01-01" in text
