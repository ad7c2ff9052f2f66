"""The monitoring stack: what its programs answer, read right; what the lookout of a drill calls broken."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.monitoring import JOBS, look
from rollback import settings, tables
from rollback.engine import Engine
from rollback.outcome import Failed, Refused
from rollback.parts.monitoring import Monitoring, Program, gap
from rollback.parts.monitoring import _configuration as configuration

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
PROMETHEUS = Program("prometheus", "prometheus", 9090, ("promtool", "check", "config"))
TARGETS: dict[str, Any] = {
    "data": {"activeTargets": [{"labels": {"job": job}, "health": "up", "lastError": ""} for job in sorted(JOBS)]}
}
RULES: dict[str, Any] = {"data": {"groups": [{"rules": [{}, {}]}, {"rules": [{}, {}]}]}}


class Answering(Monitoring):
    """A stack whose program answers what a test says."""

    said: Any = None

    def answer(self, program: Program, path: str) -> str:
        """The same to every question."""
        del program, path
        return str(self.said)

    def data(self, program: Program, path: str) -> Any:
        """The same to every question."""
        del program, path
        return self.said


def answering(root: Path, said: object) -> Answering:
    """A checkout with one monitoring file, and a program that says this."""
    (root / "monitoring").mkdir()
    (root / "monitoring/rules.yml").write_text("groups: []\n", encoding="utf-8")
    one = Answering(root, settings.load(REFERENCE), Engine(root))
    object.__setattr__(one, "said", said)
    return one


def metrics(good: int, at: float) -> str:
    """As Prometheus prints them, with the help lines."""
    return (
        "# HELP prometheus_config_last_reload_successful Whether the last reload was\n"
        f"prometheus_config_last_reload_successful {good}\n"
        f"prometheus_config_last_reload_success_timestamp_seconds {at!r}\n"
    )


@pytest.mark.parametrize(
    ("good", "later", "words"), [(1, 1.0, "has loaded"), (1, -1.0, "has not loaded"), (0, 1.0, "refused")]
)
def test_loaded_means_since_the_files_changed(tmp_path: Path, good: int, later: float, words: str) -> None:
    """A configuration that was loaded before the files changed, or a refused one, is not the one of the files."""
    one = answering(tmp_path, "")
    changed = (tmp_path / "monitoring/rules.yml").lstat().st_ctime
    object.__setattr__(one, "said", metrics(good, changed + later))
    now = one.loaded(PROMETHEUS)
    assert (now.holds, words in now.seen) == (words == "has loaded", True), now


def test_silent_metrics_prove_nothing(tmp_path: Path) -> None:
    """An answer without the two figures is no proof."""
    assert not answering(tmp_path, "up 1\n").loaded(PROMETHEUS).holds


def test_longest_gap_is_that_of_a_target_that_is_still_asked(tmp_path: Path) -> None:
    """Of a target that was taken away long ago the end is no gap."""
    alive = [[1000 + 5 * n, "1"] for n in range(10)] + [[1080, "1"], [2000, "1"]]
    gone = [[100, "1"], [1500, "1"]]
    one = answering(tmp_path, {"result": [{"values": alive}, {"values": gone}]})
    assert gap(one, PROMETHEUS) == 920


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["--config.file=/a/b.yml", "--x"], "/a/b.yml"),
        ("-config.file=/a/b.yml --x", "/a/b.yml"),
        (["--x"], "/etc/prometheus/prometheus.yml"),
        (None, "/etc/prometheus/prometheus.yml"),
    ],
)
def test_which_file_is_checked(command: object, path: str) -> None:
    """The one that the command names, or that of the image."""
    assert configuration(PROMETHEUS, {"command": command}) == path


def test_a_deployment_without_monitoring_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """It says which keys are missing."""
    one = answering(tmp_path, "")
    table = one.settings.model_copy(update={"monitoring": tables.MonitoringTable()})
    with pytest.raises(Refused, match=r"no monitoring stack") as stop:
        Monitoring.beside(replace(one, settings=table))
    assert "[monitoring] files" in stop.value.next_step


CONFIGURATION = (REFERENCE / "monitoring/prometheus/prometheus.yml").read_text(encoding="utf-8")
FOUND = """
  - job_name: found
    file_sd_configs: [{files: [some.yml]}]
"""


def asked(*jobs: str, dropped: tuple[str, ...] = ()) -> dict[str, Any]:
    """What Prometheus says of its targets."""
    return {
        "activeTargets": [{"scrapePool": job, "health": "up", "lastError": ""} for job in jobs],
        "droppedTargets": [{"discoveredLabels": {"job": job}} for job in dropped],
    }


@pytest.mark.parametrize(
    ("targets", "lacking"),
    [
        (asked(), JOBS),
        (asked("backend", "node"), JOBS - {"backend", "node"}),
        (asked(*JOBS - {"node"}, dropped=("node",)), set()),
        (asked(*JOBS), set()),
    ],
)
def test_a_job_without_a_target_is_not_watched(tmp_path: Path, targets: dict[str, Any], lacking: set[str]) -> None:
    """For seconds after its start Prometheus has no target at all: nothing is down then, and nothing is watched.

    A job that discovers its targets may have none, and one whose targets are dropped by a rule has had them.
    """
    one = answering(tmp_path, {"yaml": CONFIGURATION + FOUND})
    assert set(one.without_target(PROMETHEUS, targets)) == {f"{job} has no target yet" for job in lacking}


@pytest.mark.parametrize(
    "configuration", ["", "global: {}\n", "scrape_configs: [{job_name: x, static_configs: null}]\n"]
)
def test_a_configuration_without_targets_lacks_none(tmp_path: Path, configuration: str) -> None:
    """Nothing is named there: that is no error of this command."""
    assert answering(tmp_path, {"yaml": configuration}).without_target(PROMETHEUS, asked()) == []


@pytest.mark.parametrize("ready", [False, True])
def test_it_watches_when_every_job_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: bool) -> None:  # noqa: FBT001 -- a case
    """The step is not done while no target is there: its proof a moment later would see them as not asked yet."""
    answers = {
        "/api/v1/targets": asked(*JOBS) if ready else asked(),
        "/api/v1/status/config": {"yaml": CONFIGURATION},
        "/api/v1/rules": {"groups": []},
        "/api/v1/query": {"result": []},
    }
    one = answering(tmp_path, "")
    monkeypatch.setattr(Answering, "hashes", lambda *_: {"prometheus": "1"})
    monkeypatch.setattr(Answering, "data", lambda _, __, path: answers[path.split("?")[0]])
    there: list[SimpleNamespace] = []
    monkeypatch.setattr(Answering, "containers", lambda _: there)
    now = one.watching(0)
    assert (now.holds, "has no target yet" in now.seen) == (ready, not ready), now
    there.append(SimpleNamespace(name="p-1", service="prometheus", well=False))
    assert not one.watching(0).holds


def test_files_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    """The part may name a folder that the checkout does not have."""
    one = answering(tmp_path, metrics(1, 1.0))
    (tmp_path / "monitoring/rules.yml").unlink()
    with pytest.raises(Failed, match=r"\[parts\] monitoring names nothing that is there"):
        one.loaded(PROMETHEUS)


class Odd(Answering):
    """One whose questions are really read."""

    data = Monitoring.data


@pytest.mark.parametrize("said", ["<html>", "{}", "[]", ""])
def test_an_answer_that_is_none_is_a_sentence(tmp_path: Path, said: str) -> None:
    """Something else may listen at that port; the plan is read before anything is proven."""
    (tmp_path / "monitoring").mkdir()
    one = Odd(tmp_path, settings.load(REFERENCE), Engine(tmp_path))
    object.__setattr__(one, "said", said)
    with pytest.raises(Failed, match="does not answer at /x as Prometheus does"):
        one.data(PROMETHEUS, "/x")


def test_lookout_calls_a_sound_stack_sound() -> None:
    """Every job up, every rule there."""
    assert look(TARGETS, RULES) == ""


@pytest.mark.parametrize("damage", ["down", "missing", "rules"])
def test_lookout_sees_each_damage(damage: str) -> None:
    """A target down, one not asked at all, a rule less."""
    targets, rules = deepcopy(TARGETS), deepcopy(RULES)
    if damage == "down":
        targets["data"]["activeTargets"][0]["health"] = "down"
    elif damage == "missing":
        targets["data"]["activeTargets"].pop()
    else:
        rules["data"]["groups"].pop()
    assert look(targets, rules)
