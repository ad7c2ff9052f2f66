"""What a run leaves behind: results for every test, a gate that cannot be passed by silence, a report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from filelock import FileLock

from fixtures.bench import Bench

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]
LATEST = Path("reports", "latest")
PYPROJECT = f"""
[tool.pytest]
strict = true
pythonpath = [".", "{ROOT}"]
addopts = ["-ra", "--import-mode=importlib", "-p", "no:faker", "-p", "no:cacheprovider"]
filterwarnings = ["error"]
markers = [
    "monthly", "gate", "engine", "trust", "alone", "exhaustive(why)",
    "drill(id, section, procedure, severity, objective)",
]
"""
# building the page is tested elsewhere; here its absence has to be said
CONFTEST = """
import json, pathlib, pytest
from reports import toolchain

pytest_plugins = ["fixtures.allure_results"]

def absent():
    raise toolchain.NotAtHandError("no Node in this test")

toolchain.node = absent
PROVED = {"writes": {"lost": 0}, "objective_s": 60, "rto_s": {"read": {"low": 1.0, "high": 2.0}}}

@pytest.fixture
def record(request):
    def write(text):
        path = request.config.rootpath / "reports/latest/drills.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text + "\\n")
    return lambda **line: write(line.pop("raw", None) or json.dumps({**PROVED, **line}))
"""
HEAD = """
import os, pathlib, pytest
SECTION = "Application Rollback / Quick Rollback (Docker)"
def drill(id):
    return pytest.mark.drill(id=id, section=SECTION, procedure="application", severity="critical", objective=60)
"""
PASSING = (
    HEAD
    + """
@pytest.mark.engine
@pytest.mark.monthly
@drill("a")
def test_a(record):
    record(id="a", verdict="pass", reason="kept")
"""
)
CRASHING = (
    HEAD
    + """
@pytest.mark.engine
@pytest.mark.monthly
@drill("a")
@pytest.mark.parametrize("release", ["v1", "v2"])
def test_a(record, release):
    if os.environ.get("CRASH") and release == "v2":
        os._exit(3)
    record(id="a", verdict="pass", reason="kept")
"""
)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project that loads the plugin under test, and nothing else of this one."""
    (pytester.path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (pytester.path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    return pytester


def run(project: pytest.Pytester, body: str, *argv: str) -> pytest.RunResult:
    """Run these tests in a process of their own, as a user does."""
    folder = project.path / "drills" / "application"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_x.py").write_text(body, encoding="utf-8")
    return project.runpytest_subprocess(*argv)


def results(project: pytest.Pytester) -> dict[str, dict[str, Any]]:
    """Return the Allure results by name."""
    found = (project.path / LATEST / "allure-results").glob("*-result.json")
    return {result["name"]: result for result in (json.loads(path.read_text()) for path in found)}


def left_by_another_run(project: pytest.Pytester) -> list[Path]:
    """Put down the files of a run before and return them."""
    names = ("drills.jsonl", "index.html", "summary.md", "junit.xml", "allure-results/old-result.json")
    paths = [project.path / LATEST / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"id": "old", "verdict": "pass"}', encoding="utf-8")
    return paths


@pytest.mark.parametrize("argv", [pytest.param((), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_a_run_without_drills_leaves_the_last_report_alone(project: pytest.Pytester, argv: tuple[str, ...]) -> None:
    """Unit tests neither wipe nor build anything."""
    before = {path: path.read_text() for path in left_by_another_run(project)}
    run(project, "def test_unit(): pass", *argv).assert_outcomes(passed=1)
    after = {path: path.read_text() for path in (project.path / LATEST).rglob("*") if path.is_file()}
    assert before == after


def test_collecting_leaves_the_last_report_alone(project: pytest.Pytester) -> None:
    """Nothing runs, so nothing is wiped."""
    before = left_by_another_run(project)
    run(project, PASSING, "--collect-only")
    assert all(path.exists() for path in before)


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n2",), id="workers")])
def test_a_run_of_drills_starts_from_an_empty_table(project: pytest.Pytester, argv: tuple[str, ...]) -> None:
    """Nothing of the run before is left, and all that a report is built from is there."""
    left_by_another_run(project)
    ran = run(project, PASSING, *argv)
    latest = project.path / LATEST
    ran.assert_outcomes(passed=1)
    assert ran.ret == 0
    assert list(results(project)) == ["test_a"]
    assert not (latest / "index.html").exists()
    assert "1 drill: 1 pass." in (latest / "summary.md").read_text()
    assert "<testsuite" in (latest / "junit.xml").read_text()
    about = {path.name for path in (latest / "allure-results").iterdir()}
    assert about >= {"environment.properties", "executor.json", "categories.json", "drills-perf.json"}


def test_one_line_says_why_there_is_no_page(project: pytest.Pytester) -> None:
    """Without Node the run is as good as before, and says what is missing."""
    said = [line for line in run(project, PASSING).outlines if "HTML report" in line]
    assert said == ["warning: the HTML report was not built: no Node in this test"]


def test_results_given_another_folder_go_there(project: pytest.Pytester) -> None:
    """``--alluredir`` and ``--junitxml`` are the user's to choose; foreign files there stay."""
    other = project.path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine", encoding="utf-8")
    (other / "old-result.json").write_text("{}", encoding="utf-8")
    run(project, PASSING, f"--alluredir={other}", "--junitxml=mine.xml")
    assert (other / "notes.txt").exists()
    assert not (other / "old-result.json").exists()
    assert len(list(other.glob("*-result.json"))) == 1
    assert (project.path / "mine.xml").exists()
    assert not (project.path / LATEST / "junit.xml").exists()


def test_a_drill_is_filed_under_its_section_of_the_runbook(project: pytest.Pytester) -> None:
    """Epic, feature, story, severity and id come from the marker."""
    run(project, PASSING)
    labels = {(label["name"], label["value"]) for label in results(project)["test_a"]["labels"]}
    assert labels >= {
        ("epic", "Application Rollback"),
        ("feature", "Quick Rollback (Docker)"),
        ("story", "application"),
        ("severity", "critical"),
        ("drill", "a"),
    }


def test_a_crashed_worker_leaves_a_result(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test whose worker died is broken, in the place where its history is, and the gate is red."""
    run(project, CRASHING, "-n2").assert_outcomes(passed=2)
    whole = results(project)
    monkeypatch.setenv("CRASH", "1")
    ran = run(project, CRASHING, "-n2")
    crashed = results(project)
    assert set(crashed) == set(whole) == {"test_a[v1]", "test_a[v2]"}
    assert crashed["test_a[v2]"]["status"] == "broken"
    assert "crashed" in crashed["test_a[v2]"]["statusDetails"]["message"]
    for key in ("historyId", "testCaseId", "fullName"):
        assert [crashed[name][key] for name in sorted(crashed)] == [whole[name][key] for name in sorted(whole)]
    assert any(label["value"] == "Application Rollback" for label in crashed["test_a[v2]"]["labels"])
    ran.stdout.fnmatch_lines(["gate: drill a recorded no verdict*"])


GATED = (
    HEAD
    + """
@pytest.mark.engine
@pytest.mark.{mark}
{drill}
def test_a(record):
    {body}
"""
)
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


LEAKING = (
    HEAD
    + """
import allure
from fixtures.allure_results import vault

@pytest.mark.engine
@drill("a")
def test_a(record, request):
    vault(request.config).tell({"kJ3-vR8_tQzL0wXy": "JWT_SECRET"})
    allure.attach("token kJ3-vR8_tQzL0wXy", "log", allure.attachment_type.TEXT)
    record(id="a", verdict="pass", reason="it said kJ3-vR8_tQzL0wXy")
"""
)


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_a_secret_in_the_report_is_red_and_struck_out(project: pytest.Pytester, argv: tuple[str, ...]) -> None:
    """The whole report is searched for every secret of the run; what leaked is named, and is not in it any more."""
    ran = run(project, LEAKING, *argv)
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(["gate: *-attachment.txt held the secret JWT_SECRET: it was struck out"])
    ran.stdout.fnmatch_lines(["gate: drills.jsonl held the secret JWT_SECRET: it was struck out"])
    files = [path for path in (project.path / "reports").rglob("*") if path.is_file()]
    assert any(path.name.endswith("-attachment.txt") for path in files)
    assert not [path for path in files if b"kJ3-vR8_tQzL0wXy" in path.read_bytes()]


def test_a_run_says_what_it_left_out(project: pytest.Pytester) -> None:
    """What was selected, what was not, what was typed: in run.json, for the first page."""
    two = (
        PASSING
        + """
@pytest.mark.engine
@pytest.mark.gate
@drill("b")
def test_b(record):
    record(id="b", verdict="pass")
"""
    )
    run(project, two, "-n1", "-m", "monthly", "drills")
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert [one["drill"] for one in known["selected"]] == ["a"]
    assert [(one["drill"], one["why"]) for one in known["left"]] == [("b", "not selected by -m monthly")]
    assert (known["asked"], known["whole"], known["complete"]) == ("monthly", True, True)
    assert known["command"].endswith("-n1 -m monthly drills")
    assert known["ended"] >= known["started"]


SEEDED = (
    HEAD
    + """
@pytest.mark.engine
@drill("a")
def test_a(record, request):
    record(id="a", verdict="pass", seed=request.config.getoption("seed"))
"""
)
#: All of the drills' machinery, and no engine.
WITHOUT_ENGINE = """
from fixtures import engine, sweep
engine.ready = sweep.sweep = lambda say: None
pytest_plugins.append("fixtures.plugin")
"""


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_one_command_repeats_a_whole_run(project: pytest.Pytester, argv: tuple[str, ...]) -> None:
    """The seed that was drawn is part of it, the same in every process; one that was typed stands there once."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    run(project, SEEDED, *argv)
    drawn = json.loads((project.path / LATEST / "drills.jsonl").read_text())["seed"]
    assert json.loads((project.path / LATEST / "run.json").read_text())["command"].endswith(f" --seed {drawn}")
    run(project, SEEDED, *argv, "--seed=7")
    assert json.loads((project.path / LATEST / "drills.jsonl").read_text())["seed"] == 7
    assert json.loads((project.path / LATEST / "run.json").read_text())["command"].count("--seed") == 1


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_what_the_drills_leave_out_by_themselves_has_its_own_reason(
    project: pytest.Pytester, argv: tuple[str, ...]
) -> None:
    """The marker says it; what was not asked for is another reason."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    twins = f'{PASSING}\n@pytest.mark.exhaustive("a is the harder one")\n@drill("b")\ndef test_b(): pass\n'
    run(project, f'{twins}\n@drill("c")\ndef test_c(): pass\n', *argv, "-k", "not test_c", "drills")
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert {one["drill"]: (one["why"], one["because"]) for one in known["left"]} == {
        "b": ("of the exhaustive set, which -m exhaustive runs", "a is the harder one"),
        "c": ("not selected by -k 'not test_c'", ""),
    }
    assert (known["whole"], known["narrowed"]) == (False, ["-k 'not test_c'"])


def test_what_is_left_out_without_a_word_ends_the_run(project: pytest.Pytester) -> None:
    """Otherwise the report would have to make a reason up."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    ran = run(project, f"{PASSING}\n@pytest.mark.exhaustive\ndef test_b(): pass\n", "drills")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["*test_b has to say why it may be left out*"])


@pytest.mark.parametrize(
    ("argv", "narrowed"),
    [
        pytest.param(("-m", "gate", "drills"), [], id="whole"),
        pytest.param(("-m", "gate", "drills/application"), ["drills/application"], id="place"),
        pytest.param(("drills", "--deselect", "drills/x.py::y"), ["--deselect drills/x.py::y"], id="deselected"),
        pytest.param(("drills", "--ignore=drills/x.py"), ["--ignore drills/x.py"], id="ignored"),
        pytest.param(("drills", "--lf"), ["--last-failed"], id="last-failed"),
    ],
)
def test_what_narrows_a_run_is_known(project: pytest.Pytester, argv: tuple[str, ...], narrowed: list[str]) -> None:
    """A part of the gate is not the gate."""
    body = GATED.format(mark="gate", drill='@drill("a")', body='record(id="a", verdict="pass")')
    remembering = PYPROJECT.replace(', "-p", "no:cacheprovider"', "")
    (project.path / "pyproject.toml").write_text(remembering, encoding="utf-8")
    run(project, body, *argv)
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert (known["narrowed"], known["whole"]) == (narrowed, not narrowed)


def test_each_drill_has_its_own_day_of_one_seed(tmp_path: Path) -> None:
    """Otherwise a whole run would try one users' day only; alone a drill has the day that it had in the run."""
    days = [Bench(Mock(nodeid=name), Mock(), Mock(), seed, tmp_path, tmp_path).day
            for name, seed in (("a", 7), ("b", 7), ("a", 8), ("a", 7))]  # fmt: skip
    assert len({*days}) == 3
    assert days[0] == days[3]


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


def test_a_second_run_at_once_is_refused(project: pytest.Pytester) -> None:
    """A line of another run cannot satisfy this gate: the second run ends before it wipes anything."""
    before = left_by_another_run(project)
    with FileLock(project.path / LATEST / ".run.lock"):
        refused = run(project, PASSING)
        assert refused.ret == pytest.ExitCode.USAGE_ERROR
        refused.stdout.fnmatch_lines(["*another run writes its report to*--report-dir*"])
        assert all(path.read_text() == '{"id": "old", "verdict": "pass"}' for path in before)
        assert run(project, GATED.format(mark="trust", drill="", body="pass"), "--report-dir=mine").ret == 0
    assert len(list((project.path / "mine" / "allure-results").glob("*-result.json"))) == 1


SLOW = (
    HEAD
    + """
import time
@pytest.fixture
def stack():
    yield
    pathlib.Path("tearing-down").touch()
    time.sleep(0.5)
    pathlib.Path("torn-down").touch()

@pytest.mark.engine
def test_slow(stack):
    pathlib.Path("started").touch()
    time.sleep(60)
"""
)


def test_sigterm_tears_down(project: pytest.Pytester) -> None:
    """A CI that cancels, and cancels again, finds the fixtures torn down and exit 2."""
    (project.path / "test_x.py").write_text(SLOW, encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-n0"]
    with subprocess.Popen(argv, cwd=project.path, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        _await(project.path / "started")
        process.send_signal(signal.SIGTERM)
        _await(project.path / "tearing-down")  # the second one arrives within what the first one began
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert (project.path / "torn-down").exists(), output
    assert process.returncode == pytest.ExitCode.INTERRUPTED


def _await(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)
