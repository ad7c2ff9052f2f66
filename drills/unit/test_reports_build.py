"""The page is built by the real Allure under the real Node: both are dependencies, so no skip here."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from filelock import FileLock

from fixtures import evidence
from reports import build, lines, page, past, toolchain
from reports.__main__ import BUILT, DAMAGED, NOT_BUILT, main
from reports.run import CUT_SHORT, FILE, UNENDED

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9/"
LINE = {
    "id": "app.crash",
    "title": "Crash",
    "verdict": "fail",
    "reason": "2 writes lost",
    "writes": {"lost": 2},
    "objective_s": 60,
    "rto_s": {"read": {"low": 2.0, "high": 2.5}},
    "machine": "2 CPUs, Docker 20.10",
}
SECRET = "kJ3-vR8_tQzL0wXy"  # noqa: S105 -- of nobody
RESULTS = [("passed", ""), ("failed", "ledger: 2 acknowledged writes are lost"), ("broken", "compose up: exit 1")]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a finished run: a drill's line and three results made by hand."""
    latest = tmp_path / "reports" / "latest"
    results = latest / "allure-results"
    evidence.open_run(results, ROOT)
    for number, (status, message) in enumerate(RESULTS):
        _result(results, number, status, message)
    (latest / build.RECORD).write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    evidence.close_run(results, lines.read(latest / build.RECORD))
    return latest


def _result(results: Path, number: int, status: str, message: str) -> None:
    result = {
        "uuid": str(uuid.uuid4()),
        "name": f"drill {number}",
        "fullName": f"drills.x#test_{number}",
        "historyId": str(number),
        "status": status,
        "statusDetails": {"message": message},
        "labels": [{"name": "epic", "value": "Application Rollback"}]
        + ([] if number else [{"name": "drill", "value": "app.crash"}]),
        "start": 1_700_000_000_000,
        "stop": 1_700_000_001_000,
    }
    (results / f"{result['uuid']}-result.json").write_text(json.dumps(result), encoding="utf-8")


def test_a_run_becomes_one_page_that_asks_nobody(run: Path) -> None:
    """The page stands, is whole, opens on ours, has the metrics; a second run finds the first in history.

    A page that is built again is no further run.
    """
    for _ in range(2):
        built = build.build(run / "allure-results", run)
        assert len((run.parent / "history.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    built.unlink()
    built = build.build(run / "allure-results", run)
    html = built.read_text(encoding="utf-8")
    assert built == run / "index.html"
    assert len(html) > 1_000_000
    assert "<title> SpherosegV4 rollback drills </title>" in html
    assert '"metrics"' in html.split("allureReportOptions", 1)[1][:2000]
    assert page.outside(html) == []
    assert "googletagmanager" not in html
    assert len((run.parent / "history.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert (run / "summary.md").is_file()
    where = page.places(html)["app.crash"]
    assert html.index("Can we roll back today?") < html.index('id="app"')
    assert f'href="{where}"' in html
    first, _ = past.read(run.parent / build.HISTORY)
    assert first.drills["app.crash"].rto == 2.5
    assert first.drills["app.crash"].machine == LINE["machine"]
    assert first.drills["app.crash"].passed


def test_the_page_holds_its_gate_against_the_run(run: Path) -> None:
    """Allure shows each rule: the objective is kept, the lost writes are not."""
    html = build.build(run / "allure-results", run).read_text(encoding="utf-8")
    found = re.search(r'd\("widgets/quality-gate\.json","([^"]*)"', html)
    assert found is not None
    (results,) = json.loads(base64.b64decode(found[1])).values()
    verdicts = {one["rule"]: one["success"] for one in results}
    told = {one["rule"]: one["message"] for one in results}
    assert told["app.crash.rto/metricMax"] == "Crash: 2.5 s, at most 60 s is allowed"
    assert not [rule for rule, message in told.items() if "[object" in message]
    assert verdicts["app.crash.rto/metricMax"] is True
    assert verdicts["app.crash.lost/metricMax"] is False
    assert verdicts["maxFailures"] is False


def test_a_page_that_would_tell_a_secret_is_not_built(run: Path) -> None:
    """Neither a page nor a point in history: the message names the secret and does not tell it."""
    _result(run / "allure-results", 7, "failed", f"password {SECRET}")
    with pytest.raises(build.NotBuiltError, match="would tell secrets: JWT_SECRET") as refused:
        build.build(run / "allure-results", run, {SECRET: "JWT_SECRET"})
    assert SECRET not in str(refused.value)
    assert not (run / build.PAGE).exists()
    assert not (run.parent / build.HISTORY).exists()


def test_allure_is_installed_once(run: Path) -> None:
    """With Allure in the cache, a build asks no registry."""
    toolchain.allure(toolchain.node(), toolchain.cache())
    environ = {**os.environ, "npm_config_registry": NOWHERE, "npm_config_cache": str(run / "npm")}
    argv = [sys.executable, "-m", "reports", "--results", str(run / "allure-results"), "--output", str(run)]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(run / "index.html")), done.stderr


def test_without_a_registry_the_run_keeps_its_summary(run: Path) -> None:
    """No HTML: one line that says why, an exit code of its own, and the summary all the same."""
    (run / "index.html").write_text("the page of another run", encoding="utf-8")
    environ = {
        **os.environ,
        "XDG_CACHE_HOME": str(run / "cache"),
        "npm_config_registry": NOWHERE,
        "npm_config_cache": str(run / "npm"),
    }
    argv = [sys.executable, "-m", "reports", "--results", str(run / "allure-results"), "--output", str(run)]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == NOT_BUILT
    assert done.stderr.startswith("warning: the HTML report was not built: Allure could not be installed")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (run / "index.html").exists()
    assert "2 writes lost" in (run / "summary.md").read_text(encoding="utf-8")


def test_without_node_the_run_keeps_its_summary(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the package that brings Node the warning names it."""
    monkeypatch.setattr(toolchain, "find_spec", lambda _: None)
    assert main(["--results", str(run / "allure-results"), "--output", str(run)]) == NOT_BUILT
    assert "Node is not at hand: install the drills extra" in capsys.readouterr().err
    assert (run / "summary.md").is_file()


def test_no_results_are_no_report(tmp_path: Path) -> None:
    """An empty folder of results is not turned into an empty page."""
    with pytest.raises(build.NotBuiltError, match="no results"):
        build.build(tmp_path / "nothing", tmp_path)


def test_a_build_that_fails_adds_nothing_to_history(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allure exits with 0 when its page fails; that is neither a page nor a point in history."""
    monkeypatch.setattr("reports.configuration.categories", lambda: [{"name": "x", "messageRegex": "(?is)x"}])
    with pytest.raises(build.NotBuiltError, match=r"Allure left no page: .*Invalid"):
        build.build(run / "allure-results", run)
    assert not (run.parent / "history.jsonl").exists()


def test_the_lock_file_names_no_registry() -> None:
    """Whoever installs uses the registry of their own machine, at the pinned version."""
    text = (toolchain.LOCKED / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "://" not in text
    assert json.loads(text)["packages"]["node_modules/allure"]["version"] == toolchain.version()


def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Allure makes of a run, without Allure: a page and a point in history."""
    monkeypatch.setattr(build, "_generate", lambda *_: ("<head></head><body></body>", POINT))


POINT = json.dumps({"timestamp": 1_700_000_000_000, "testResults": {}})


@pytest.mark.parametrize(("gate", "points"), [([UNENDED], 0), ([CUT_SHORT], 0), ([], 1)])
def test_a_run_that_was_killed_is_no_point_in_history(
    run: Path, monkeypatch: pytest.MonkeyPatch, gate: list[str], points: int
) -> None:
    """Nor is one that was interrupted: its page may be built and says so, and no later run is held against it."""
    _fast(monkeypatch)
    (run / FILE).write_text(json.dumps({"started": "2026-11-01T05:00:00+00:00", "gate": gate}), encoding="utf-8")
    assert main(["--results", str(run / "allure-results"), "--output", str(run)]) == BUILT
    history = run.parent / build.HISTORY
    assert (history.read_text(encoding="utf-8").splitlines() if history.exists() else []) == [POINT] * points
    assert all(one in (run / build.PAGE).read_text(encoding="utf-8") for one in gate)


def test_two_runs_that_end_at_once_do_not_lose_a_point(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot have the history to itself does not write it, and says so."""
    _fast(monkeypatch)
    monkeypatch.setattr(build, "LOCK_SECONDS", 0.1)
    history = run.parent / build.HISTORY
    with FileLock(f"{history}.lock"), pytest.raises(build.NotBuiltError, match="another run has held"):
        build.build(run / "allure-results", run)
    assert not history.exists()
    build.build(run / "allure-results", run)
    assert history.read_text(encoding="utf-8") == f"{POINT}\n"


def test_a_point_of_the_future_is_said(run: Path) -> None:
    """It is not compared with, and not passed over."""
    later = json.dumps({"timestamp": 32_000_000_000_000, "testResults": {}})
    (run.parent / build.HISTORY).write_text(f"{later}\n", encoding="utf-8")
    (run / FILE).write_text(json.dumps({"started": "2026-11-01T05:00:00+00:00"}), encoding="utf-8")
    assert "1 run of the history lies in the future" in build.summarise(run).read_text(encoding="utf-8")


def test_a_typo_in_the_policy_costs_no_report(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The page stands, nothing is exempt, and the gate is red by it; said once, however often it is built."""
    _fast(monkeypatch)
    monkeypatch.setattr(build, "POLICY", tmp_path / "gate.toml")
    build.POLICY.write_text("[drill]", encoding="utf-8")
    wrong = "gate.toml: unknown table drill; allowed are drills, procedures"
    for gate in ([], [wrong]):
        (run / FILE).write_text(json.dumps({"gate": gate}), encoding="utf-8")
        assert main(["--results", str(run / "allure-results"), "--output", str(run)]) == BUILT
        text = (run / build.SUMMARY).read_text(encoding="utf-8")
        assert text.count(f"The gate: {wrong}: ") == 1
        assert "The gate holds 1 sentence against it." in text


def test_what_only_lacks_tools_is_told_from_what_went_wrong(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Node nothing is wrong with the run; an Allure that fails on it is another matter."""
    monkeypatch.setattr(toolchain, "find_spec", lambda _: None)
    with pytest.raises(build.NoToolsError):
        build.build(run / "allure-results", run)
    monkeypatch.undo()
    monkeypatch.setattr(toolchain, "GENERATE_SECONDS", 0.01)
    with pytest.raises(build.NotBuiltError, match="Allure failed") as failed:
        build.build(run / "allure-results", run)
    assert not isinstance(failed.value, build.NoToolsError)


def test_a_record_that_is_no_text_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the file, no traceback."""
    (run / build.RECORD).write_bytes(b"\xff")
    assert main(["--results", str(run / "allure-results"), "--output", str(run)]) == DAMAGED
    assert "error: drills.jsonl is not the record of drills" in capsys.readouterr().err
