"""The loop around the decision: it goes on after a kill, stands back for people, and never rolls a rollback back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollback import lock, settings
from rollback.deployment import Answer, Container, Deployment
from rollback.engine import Engine, Result
from rollback.journal import Journal
from rollback.outcome import Failed, Refused
from rollback.watch.decision import Baseline, Policy, Sample, Verdict, decide
from rollback.watch.loop import Runs, Watch, no_rollback_of_a_rollback, the_same_still
from rollback.watch.memory import KEPT, Memory
from rollback.watch.signals import Sensor, baseline_of, requests_of, sampled
from rollback.watch.tail import Tail

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
SHORT = Policy(seconds=0.1, interval=0.01, window_seconds=0.02, requests=2, windows=3, bad_windows=2)
ABOUT = {"to": "v1", "images": {"backend": "sha256:a"}}


def sample(at: float, failed: int = 0) -> Sample:
    """Ten requests, so many of which failed."""
    return Sample(at, "", {"GET /api": (10, failed)}, 0.01)


@dataclass
class Service:
    """A release that serves in one way for ever; what else happens, happens at a given look."""

    failed: int = 0
    looks: int = 0
    at: dict[int, object] = field(default_factory=dict)

    def look(self) -> Sample:
        """One look."""
        self.looks += 1
        happens = self.at.get(self.looks)
        if callable(happens):
            happens()
        return sample(self.looks * SHORT.interval, self.failed)


def watch(folder: Path, service: Service, told: list[str] | None = None) -> Watch:
    """A watch over it."""
    said = told if told is not None else []
    memory = Memory(folder / "watch.jsonl", ABOUT)
    return Watch(SHORT, None, service.look, Journal(folder / "journal.jsonl"), memory, said.append, said.append)


@pytest.mark.parametrize(("failed", "verdict"), [(0, Verdict.HEALTHY), (5, Verdict.ROLLBACK)], ids=["good", "bad"])
def test_it_looks_until_something_is_decided_and_keeps_what_it_saw(
    tmp_path: Path, failed: int, verdict: Verdict
) -> None:
    """The next watch begins anew, and the decision can be made again from what was kept."""
    service = Service(failed)
    assert watch(tmp_path, service).decided().verdict is verdict
    assert not (tmp_path / "watch.jsonl").exists()
    (kept,) = (tmp_path / "watches").glob("*.jsonl")
    _, *seen, said = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
    assert len(seen) == service.looks
    again = decide([Sample(**one) for one in seen], Policy(**said["policy"]))
    assert (again.verdict, again.sentence, None) == (said["verdict"], said["sentence"], said["baseline"])


def test_old_watches_go(tmp_path: Path) -> None:
    """The newest stay."""
    for _ in range(KEPT + 2):
        watch(tmp_path, Service()).decided()
    assert len(list((tmp_path / "watches").glob("*.jsonl"))) == KEPT


def test_a_killed_watch_goes_on_with_its_window(tmp_path: Path) -> None:
    """What was seen before the kill counts: fewer looks are needed, and it says so."""

    def killed() -> None:
        raise KeyboardInterrupt

    whole = Service(5)
    watch(tmp_path, whole).decided()
    with pytest.raises(KeyboardInterrupt):
        watch(tmp_path, Service(5, at={whole.looks: killed})).decided()
    told: list[str] = []
    again = Service(5)
    assert watch(tmp_path, again, told).decided().verdict is Verdict.ROLLBACK
    assert again.looks < whole.looks
    assert told[0] == f"goes on after {whole.looks - 1} samples of the watch that was interrupted"


def test_an_operator_who_begins_something_has_the_deployment(tmp_path: Path) -> None:
    """The watch stands back, and rolls nothing back."""
    journal = Journal(tmp_path / "journal.jsonl")
    service = Service(5, at={2: lambda: journal.append("r1", "begin", procedure="migration", arguments={})})
    with pytest.raises(Refused, match="An operator works on the deployment"):
        watch(tmp_path, service).decided()


@pytest.mark.parametrize("other", ["target", "boot"])
def test_samples_of_something_else_are_not_gone_on_with(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release, or another boot: its clock began anew."""
    path = tmp_path / "watch.jsonl"
    first = Memory(path, ABOUT)
    assert first.recalled() == []
    first.keep(sample(1.0))
    path.write_text(path.read_text(encoding="utf-8") + '{"at": 2.0, "ill"', encoding="utf-8")
    assert Memory(path, ABOUT).recalled() == [Sample(1.0, "", {"GET /api": [10, 0]}, 0.01)]  # type: ignore[dict-item]
    if other == "boot":
        monkeypatch.setattr(lock, "boot", lambda: "another")
    assert Memory(path, {**ABOUT, "to": "v2"} if other == "target" else ABOUT).recalled() == []
    assert path.stat().st_mode & 0o077 == 0


RECORDED = {"v1": {"sha256:a"}, "v2": {"sha256:b"}}


def runs(image: str, hours: float) -> Runs:
    """A container that was made so many hours from now, as the engine writes it."""
    return Runs(f"{image} {hours}", image, f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.%f}000Z")


@pytest.mark.parametrize("procedure", ["application", "environment", "compose", "switch", "recover", "contain"])
def test_a_rollback_is_not_rolled_back(tmp_path: Path, procedure: str) -> None:
    """What a finished rollback of any kind put there stays, whatever it does; what was deployed since may go."""
    journal = Journal(tmp_path / "journal.jsonl")
    before, since = {"backend": runs("sha256:c", -1)}, {"backend": runs("sha256:c", 1)}
    no_rollback_of_a_rollback(journal, before, RECORDED)
    journal.append("r1", "begin", procedure=procedure, arguments={})
    no_rollback_of_a_rollback(journal, before, RECORDED)
    journal.append("r1", "end", outcome="done")
    for there in (before, {**before, "ml": Runs()}, {"backend": Runs()}):
        with pytest.raises(Refused, match=rf"What runs was put there by the rollback r1 \({procedure}\)"):
            no_rollback_of_a_rollback(journal, there, RECORDED)
    no_rollback_of_a_rollback(journal, since, RECORDED)
    no_rollback_of_a_rollback(journal, {**since, "ml": Runs()}, RECORDED)


def test_the_release_of_a_rollback_is_not_rolled_back_when_it_is_deployed_again(tmp_path: Path) -> None:
    """Nor when one of its services has no container."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("r1", "begin", procedure="application", arguments={"version": "v1"})
    journal.append("r1", "end", outcome="done")
    for there in ({"backend": runs("sha256:a", 1)}, {"backend": runs("sha256:a", 1), "ml": Runs()}):
        with pytest.raises(Refused, match=r"r1 \(application v1\)"):
            no_rollback_of_a_rollback(journal, there, RECORDED)
    no_rollback_of_a_rollback(journal, {"backend": runs("sha256:b", 1)}, RECORDED)


def test_what_does_not_deploy_lifts_and_sets_no_guard(tmp_path: Path) -> None:
    """Rows that were repaired, and a rollback that was taken back, put no release there."""
    journal = Journal(tmp_path / "journal.jsonl")
    for run, procedure, outcome in (("r1", "rows", "done"), ("r2", "application", "aborted")):
        journal.append(run, "begin", procedure=procedure, arguments={"version": "v1"})
        journal.append(run, "end", outcome=outcome)
    no_rollback_of_a_rollback(journal, {"backend": runs("sha256:a", -1)}, RECORDED)


def test_what_was_deployed_between_the_decision_and_the_rollback_stays() -> None:
    """Also a fix that is the same image with other settings; what was not there at first may have come."""
    then = {"backend": runs("sha256:b", -1), "ml": Runs()}
    the_same_still(then, {**then, "ml": runs("sha256:b", 0)})
    for now in (runs("sha256:b", 0), runs("sha256:c", 0), Runs()):
        with pytest.raises(Refused, match="The backend that runs is not the one that was watched"):
            the_same_still(then, {**then, "backend": now})


LOG = [
    '2024-01-19T14:20:00.1Z {"request":"GET /api/projects?x=1 HTTP/1.1","status":200,"seconds":0.01,"release":"v1"}',
    '2024-01-19T14:20:00.2Z {"request":"POST /api/projects HTTP/1.1","status":502,"seconds":2.0,"release":""}',
    '2024-01-19T14:20:00.3Z {"request":"GET /api/ws/jobs/1 HTTP/1.1","status":101,"seconds":60,"release":"v1"}',
    '2024-01-19T14:20:00.4Z {"request":"GET /api/projects HTTP/1.1","status":429,"seconds":0.03,"release":"v1"}',
    "2024-01-19T14:20:00.5Z 2024/01/19 14:20:00 [error] 7#7: connect() failed",
    '2024-01-19T14:20:00.6Z {"request":"-","status":400,"seconds":0.0,"release":""}',
]


def test_the_edges_log_is_read_by_groups_of_requests() -> None:
    """What is no request is none; a 429 is the client's, a WebSocket's time is its user's."""
    found = requests_of(LOG)
    one = sampled(5.0, "", found)
    assert one.counts == {"GET /api/projects": (2, 0), "POST /api/projects": (1, 1), "GET /api/ws": (1, 0)}
    assert one.seconds == pytest.approx(0.02)
    assert sampled(5.0, None, None) == Sample(5.0, None, None)
    assert sampled(5.0, "", []) == Sample(5.0, "", {})


def test_the_release_before_is_known_by_its_own_answers() -> None:
    """And not known at all by too few of them."""
    found = requests_of(LOG)
    assert baseline_of(found, "v1", 3) == Baseline(0.0, 0.02)
    assert baseline_of(found, "v1", 4) is None
    assert baseline_of(found, "v2", 1) is None


@dataclass(frozen=True)
class Running(Deployment):
    """Three services that run an image each, are healthy, and say a version each."""

    images: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def containers(self) -> list[Container]:
        """One of each."""
        return [
            Container(one.service, one.service, one.service, self.images[role], *WELL)
            for role, one in self.settings.services.items()
        ]

    def fetch_all(self, urls: list[str], *headers: str) -> list[Answer]:
        """Healthy, then the versions."""
        assert not headers
        half = len(urls) // 2
        said = [json.dumps({"version": one} if one else {}) for one in self.versions.values()]
        return [Answer(200, "") for _ in range(half)] + [Answer(200, one) for one in said]


#: Running, no health check, no one-off; no labels, no ports, no restarts.
WELL: tuple[Any, ...] = (True, None, False, {}, {}, 0)
ROLES = ("backend", "ml", "frontend")


def running(image: str = "new", version: str = "v2") -> Running:
    """All of one release."""
    return Running(
        REFERENCE, settings.load(REFERENCE), Engine(REFERENCE), images=dict.fromkeys(ROLES, image),
        versions=dict.fromkeys(ROLES, version),
    )  # fmt: skip


def ill(sensor: Sensor, then: Running) -> str | None:
    """What is ill, if this runs from now on."""
    sensor.deployment = then
    return sensor.look().ill


def test_another_deployment_ends_the_watch() -> None:
    """What was seen of one release is no reason to take back another."""
    sensor = Sensor(running(), dict.fromkeys(ROLES, "new"))
    assert ill(sensor, running()) == ""
    with pytest.raises(Refused, match="something else was deployed"):
        ill(sensor, running("newer"))


def test_a_service_that_was_not_there_at_first_may_come() -> None:
    """A crash loop has no image to compare with."""
    assert ill(Sensor(running(), dict.fromkeys(ROLES, "")), running()) == ""


@pytest.mark.parametrize("version", ["v1", ""])
def test_a_healthy_service_that_says_another_release_is_ill(version: str) -> None:
    """A green health check of the wrong release, as a cached page gives, proves nothing."""
    sensor = Sensor(running(), dict.fromkeys(ROLES, "new"))
    assert ill(sensor, running()) == ""
    assert "says that it is" in str(ill(sensor, running(version=version)))


def test_each_line_of_a_log_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of one and the same instant, some of which were there at the last look; both streams count."""
    logs = [
        Result(0, "", ""),
        Result(0, "T1 a\nT1 a\n", "T1 ERROR b\n"),
        Result(0, "T1 a\nT1 a\nT2 c\n", "T1 ERROR b\nT1 d\n"),
    ]
    asked: list[list[str]] = []

    def run(_: Engine, argv: list[str], **__: object) -> Result:
        asked.append(argv)
        return logs.pop(0)

    monkeypatch.setattr(Engine, "run", run)
    tail = Tail(running(), "backend", "T0")
    assert [sorted(tail.new()) for _ in range(3)] == [[], ["T1 ERROR b", "T1 a", "T1 a"], ["T1 d", "T2 c"]]
    assert [argv[argv.index("--since") + 1] for argv in asked] == ["T0", "T0", "T1"]
    logs.append(Result(1, "", "no such container"))
    with pytest.raises(Failed, match="cannot be read"):
        tail.new()


def test_a_log_that_begins_anew_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service was made anew: what its log holds now came since, and what it held is neither missed nor repeated."""
    logs = [Result(0, "T1 a\nT1 a\nT2 b\n", ""), Result(0, "T3 a\n", ""), Result(0, "T3 a\nT3 a\n", "")]
    monkeypatch.setattr(Engine, "run", lambda *_, **__: logs.pop(0))
    tail = Tail(running(), "backend", "T0")
    assert [sorted(tail.new()) for _ in range(3)] == [["T1 a", "T1 a", "T2 b"], ["T3 a"], ["T3 a"]]


def test_error_lines_of_all_services_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the edge logs is no service's; where no log can be read nothing is known."""
    sensor = Sensor(running(), dict.fromkeys(ROLES, "new"))
    monkeypatch.setattr(Engine, "run", lambda _, argv, **__: Result(0, f"T1 ERROR in {argv[-1]}\n", ""))
    assert (sensor.look().errors, sensor.look().errors) == (3, 0)
    monkeypatch.setattr(Engine, "run", lambda *_, **__: Result(1, "", ""))
    seen = sensor.look()
    assert (seen.errors, len(seen.unread)) == (None, 3)


def test_a_service_whose_log_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of the others count all the same."""
    sensor = Sensor(running(), dict.fromkeys(ROLES, "new"))
    away = sensor.deployment.settings.services["ml"].service
    lines, no = Result(0, "T1 ERROR\n", ""), Result(1, "", "no such driver")
    monkeypatch.setattr(Engine, "run", lambda _, argv, **__: no if argv[-1] == away else lines)
    seen = sensor.look()
    assert (seen.errors, seen.unread) == (2, [away])
