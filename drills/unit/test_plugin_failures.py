"""What pytest saw fail is in the gate, and with the gate on the first page, in the summary and in junit.xml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from drills.unit.inner_run import GATED, HEAD, LATEST, PASSING, left_by_another_run, run
from fixtures.failures import Failures
from fixtures.selection import Selected
from reports import lines
from reports.run import UNENDED

pytest_plugins = ("pytester",)

BESIDE = PASSING + "\n{}\n"
TEAR_DOWN = (
    HEAD
    + """
@pytest.fixture
def stack():
    yield
    {}

@pytest.mark.engine
@drill("a")
def test_a(record, stack):
    record(id="a", verdict="pass")
"""
)
A = "drills/application/test_x.py::test_a"


def gate_of(project: pytest.Pytester) -> list[str]:
    """What run.json says that the gate holds."""
    raw: dict[str, Any] = json.loads((project.path / LATEST / "run.json").read_text(encoding="utf-8"))
    return list(raw["gate"])


@pytest.mark.parametrize(
    ("body", "argv", "sentence"),
    [
        pytest.param(
            TEAR_DOWN.format("raise OSError('a container is left')"),
            ("-n0",),
            f"drill a has a test that failed in its tear-down: {A}",
            id="tear-down",
        ),
        pytest.param(
            TEAR_DOWN.format("os._exit(3)"),
            ("-n1", "--max-worker-restart=0"),
            f"drill a has a test that failed in its worker, which died: {A}",
            id="worker-dies-in-tear-down",
        ),
        pytest.param(
            BESIDE.format("def test_unit(): assert False"),
            ("-n1",),
            "drills/application/test_x.py::test_unit failed in its call",
            id="unit-test",
        ),
    ],
)
def test_what_fails_is_held_by_the_gate(
    project: pytest.Pytester, body: str, argv: tuple[str, ...], sentence: str
) -> None:
    """Each drill's line says pass, and the run is red: run.json, the terminal and the summary say why."""
    ran = run(project, body, *argv)
    assert ran.ret == 1
    assert gate_of(project) == [sentence]
    assert f"gate: {sentence}" in ran.outlines
    assert f"The gate: {sentence}" in (project.path / LATEST / "summary.md").read_text(encoding="utf-8")


def test_a_module_that_cannot_be_collected_is_held_by_the_gate(project: pytest.Pytester) -> None:
    """Its drills are not even silent: nobody knows of them."""
    (project.path / "test_broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    assert run(project, PASSING, "--continue-on-collection-errors").ret == 1
    assert gate_of(project) == ["test_broken.py failed in its collection"]


def test_a_run_that_is_cut_short_is_red(project: pytest.Pytester) -> None:
    """All drills had passed when somebody pressed Ctrl-C: what was still to come is not known to be good."""
    run(project, BESIDE.format("def test_unit(): raise KeyboardInterrupt"))
    assert gate_of(project) == ["the run was ended before its time"]


def test_a_run_is_red_until_it_has_ended(project: pytest.Pytester) -> None:
    """What is killed writes no more: while the drills run, run.json says that the run did not end."""
    body = 'pathlib.Path("seen").write_text(pathlib.Path("reports/latest/run.json").read_text())'
    record = 'record(id="a", verdict="pass", reason="kept")'
    ran = run(project, GATED.format(mark="trust", drill='@drill("a")', body=f"{body}; {record}"))
    assert json.loads((project.path / "seen").read_text(encoding="utf-8"))["gate"] == [UNENDED]
    assert (ran.ret, gate_of(project)) == (0, [])


def _failed(*tests: str) -> Failures:
    found = Failures()
    for test in tests:
        found.add(pytest.TestReport(test, ("", 0, ""), {}, "failed", None, "call"))
    return found


def test_hundreds_of_failures_stay_readable() -> None:
    """The first five are named, the others counted."""
    told = _failed(*(f"t::{number}" for number in range(300))).sentences((), ())
    assert told == [*(f"t::{number} failed in its call" for number in range(5)), "295 more tests failed"]


@pytest.mark.parametrize(
    ("verdicts", "held"),
    [
        pytest.param(["pass"], True, id="pass"),
        pytest.param(["not tested"], True, id="not-tested"),
        pytest.param(["fail"], False, id="the-line-says-it"),
        pytest.param(["pass", "inconclusive"], False, id="a-line-says-it"),
        pytest.param([], False, id="silence-is-held-anyway"),
    ],
)
def test_what_a_line_tells_is_not_told_twice(verdicts: list[str], *, held: bool) -> None:
    """A drill that is red by its line is red once."""
    recorded = [lines.parse({"id": "a", "verdict": one}) for one in verdicts]
    chosen = Selected(A, "test_a", ("engine",), "a", "x#test_a", "h", ())
    assert bool(_failed(A).sentences([chosen], recorded)) is held


def test_junit_knows_the_gate(project: pytest.Pytester) -> None:
    """A CI that reads junit.xml alone sees a run as red as it is; a green gate is a case that passes."""
    run(project, GATED.format(mark="gate", drill='@drill("a")', body="pass"))
    suite = _suite(project)
    (failure,) = suite.findall("testcase[@name='gate']/failure")
    assert failure.text == "gate: drill a recorded no verdict: it was skipped, crashed or never got that far"
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    run(project, PASSING)
    suite = _suite(project)
    assert len(suite.findall("testcase[@name='gate']")) == 1
    assert (suite.get("tests"), suite.get("failures"), suite.findall("testcase/failure")) == ("2", "0", [])


def _suite(project: pytest.Pytester) -> ET.Element:
    return next(ET.parse(project.path / LATEST / "junit.xml").iter("testsuite"))  # noqa: S314 -- our own


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_a_policy_that_cannot_be_read_is_refused_before_anything_runs(
    project: pytest.Pytester, argv: tuple[str, ...]
) -> None:
    """A typo costs seconds: nothing has run, and nothing of the last run was wiped."""
    before = left_by_another_run(project)
    (project.path / "drills").mkdir()
    (project.path / "drills" / "gate.toml").write_text("[drill]", encoding="utf-8")
    ran = run(project, PASSING, *argv)
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert ran.parseoutcomes().get("passed") is None
    ran.stdout.fnmatch_lines(["*gate.toml: unknown table drill; allowed are drills, procedures*"])
    assert all(path.read_text() == '{"id": "old", "verdict": "pass"}' for path in before)


@pytest.mark.parametrize("typo", [pytest.param(b"[drill]", id="table"), pytest.param(rb"\xff", id="no-text")])
def test_a_policy_that_breaks_while_drills_run_is_held_by_the_gate(project: pytest.Pytester, typo: bytes) -> None:
    """It exempts nothing any more, the rest of the gate is held all the same, and the summary is written."""
    spoil = f'pathlib.Path("drills/gate.toml").write_bytes(b"{typo.decode()}")'
    run(project, GATED.format(mark="trust", drill='@drill("a")', body=spoil)).assert_outcomes(passed=1)
    wrong, silent = gate_of(project)
    assert wrong.startswith("gate.toml: ")
    assert silent.startswith("drill a recorded no verdict")
    assert (project.path / LATEST / "summary.md").is_file()


FAILING_PAGE = """
from reports import build

def generate(results, output):
    {}

build._generate = generate
"""
TELLING = 'return "<head></head><body>kJ3-vR8_tQzL0wXy</body>", ""'


@pytest.mark.parametrize(
    ("page", "why"),
    [
        pytest.param(TELLING, "it would tell secrets: JWT_SECRET", id="secret"),
        pytest.param('raise build.NotBuiltError("Allure left no page")', "Allure left no page", id="no-page"),
    ],
)
def test_a_page_that_cannot_be_shown_is_red(project: pytest.Pytester, page: str, why: str) -> None:
    """Everything passed, and nobody gets to see it: the run says so by its exit status and in its summary."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + FAILING_PAGE.format(page), encoding="utf-8")
    tell = 'from fixtures.allure_results import vault; vault(request.config).tell({"kJ3-vR8_tQzL0wXy": "JWT_SECRET"})'
    ran = run(
        project, PASSING.replace("(record)", "(record, request)").replace("    record", f"    {tell}\n    record")
    )
    sentence = f"the HTML report was not built: {why}"
    assert ran.ret == 1
    assert gate_of(project) == [sentence]
    assert f"gate: {sentence}" in ran.outlines
    assert sentence in (project.path / LATEST / "summary.md").read_text(encoding="utf-8")
    assert not Path(project.path / LATEST / "index.html").exists()
