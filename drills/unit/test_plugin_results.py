"""What a run leaves behind: results for every test, and a report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from drills.unit.inner_run import GATED, HEAD, LATEST, PASSING, left_by_another_run, results, run

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ("pytester",)


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
    while not pathlib.Path("cancelled again").exists():
        time.sleep(0.02)
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
        _await(project.path / "tearing-down")
        process.send_signal(signal.SIGTERM)
        (project.path / "cancelled again").touch()  # the second one arrived within what the first one began
        output, _ = process.communicate(timeout=30)
    assert (project.path / "torn-down").exists(), output
    assert process.returncode == pytest.ExitCode.INTERRUPTED


def _await(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)
