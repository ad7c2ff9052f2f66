"""A gate that cannot be passed by silence."""

from __future__ import annotations

import json

import pytest

from drills.unit.inner_run import GATED, LATEST, PASSING, run

pytest_plugins = ("pytester",)

RED = [
    pytest.param('record(id="a", verdict="fail", reason="2 lost")', "drill a is fail, not pass: 2 lost", id="fail"),
    pytest.param('record(id="a", verdict="inconclusive", reason="thin")', "drill a is inconclusive*", id="thin"),
    pytest.param("pytest.skip('no engine')", "drill a recorded no verdict*", id="skipped"),
    pytest.param('record(id="a", verdict="pass", writes={})', "drill a passed without evidence*", id="no-evidence"),
    pytest.param(
        'record(id="a", verdict="not tested", reason="no Grafana")', "drill a is not tested*", id="not-tested"
    ),
    pytest.param("pass", "drill a recorded no verdict*", id="silent"),
    pytest.param('record(id="b", verdict="pass")', "drill a recorded no verdict*", id="other-drill"),
    pytest.param('record(id="a", verdict="passed")', "drill a is passed, not pass*", id="unknown-verdict"),
    pytest.param('record(raw="half a li")', "drills.jsonl line 1 is not the record*", id="damaged"),
    pytest.param(
        'record(id="a", verdict="pass"); record(id="a", verdict="fail")', "drill a is fail, not pass*", id="both"
    ),
]


@pytest.mark.parametrize(("body", "sentence"), RED)
def test_the_gate_is_red(project: pytest.Pytester, body: str, sentence: str) -> None:
    """A green test that has not proved its drill turns exit 0 into 1, with a sentence."""
    ran = run(project, GATED.format(mark="monthly", drill='@drill("a")', body=body))
    assert ran.ret == 1
    assert not ran.parseoutcomes().get("failed")
    ran.stdout.fnmatch_lines([f"gate: {sentence}"])
    errors = json.loads((project.path / LATEST / "allure-results" / "gate-globals.json").read_text())["errors"]
    assert len(errors) == 1


def test_a_whole_run_has_to_drill_every_procedure(project: pytest.Pytester) -> None:
    """The monthly drill is red while a procedure of the runbook has none; one drill alone is not asked for all."""
    ran = run(project, PASSING, "-m", "monthly", "drills")
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(["gate: procedure Database Rollback / Full Database Restoration was not drilled"])
    assert run(project, PASSING, "-m", "monthly", "drills/application").ret == 0


def test_the_gate_is_red_with_workers(project: pytest.Pytester) -> None:
    """The controller judges what only the workers have collected."""
    ran = run(project, GATED.format(mark="gate", drill='@drill("a")', body="pass"), "-n1")
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(["gate: drill a recorded no verdict*"])


@pytest.mark.parametrize("mark", ["monthly", "gate"])
def test_a_gated_test_without_an_id_is_red(project: pytest.Pytester, mark: str) -> None:
    """What cannot be found in the record cannot be counted as proved."""
    ran = run(project, GATED.format(mark=mark, drill="", body='record(id="a", verdict="pass")'))
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(["gate: *test_a is gated but has no drill id*"])


def test_an_ungated_drill_does_not_hold_the_gate(project: pytest.Pytester) -> None:
    """A test without an id, of which no release hangs, records nothing that could count."""
    assert run(project, GATED.format(mark="trust", drill="", body="pass")).ret == 0


def test_nothing_selected_is_no_pass(project: pytest.Pytester) -> None:
    """The 5 of pytest itself stands."""
    assert run(project, PASSING, "-m", "gate").ret == pytest.ExitCode.NO_TESTS_COLLECTED
