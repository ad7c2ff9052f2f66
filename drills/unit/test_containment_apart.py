"""Who cannot be moved into the closed network is stopped, and whatever fails on the way out shuts all again."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment.door import Door
from rollback.containment.evidence import Evidence
from rollback.containment.isolation import Isolation
from rollback.containment.renewal import Renewal
from rollback.containment.standing import Standing
from rollback.deployment import Container
from rollback.engine import CommandFailed, Result
from rollback.outcome import Failed, Refused
from rollback.parts.monitoring import Monitoring
from rollback.plan import Reading
from rollback.procedures import containment, containment_survey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLOSED, ONE_OFF = "p_contained", "com.docker.compose.oneoff"
AT_HOME = "127.0.0.1:80:80/tcp"
BOUND = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}


class Docker:
    """An engine with the edge and the API of a deployment, and whoever else is added.

    Attributes:
        asked: what was done, oldest first.
        fails: words of commands that end badly.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: set[str] = set()
        self.there: dict[str, dict[str, Any]] = {}
        self.add("edge", bindings=BOUND)
        self.add("api")

    def add(self, name: str, mode: str = "p_default", *, of: str = "p", folder: str = "/p", **more: Any) -> None:
        """A container of a Compose project that runs."""
        ends = {} if mode.startswith("container:") else {mode: {"Aliases": [name]}}
        self.there[name] = {
            "Id": name, "Name": f"/{name}", "Image": "image", "RestartCount": 0,
            "State": {"Running": True, "Restarting": False, "StartedAt": "", "Pid": 0},
            "Config": {"Labels": {"com.docker.compose.project": of, "com.docker.compose.service": name,
                                  "com.docker.compose.project.working_dir": folder}},
            "HostConfig": {"NetworkMode": mode, "PortBindings": more.get("bindings", {})},
            "NetworkSettings": {"Networks": ends, "Ports": {}},
        }  # fmt: skip
        self._publish(name)

    def _publish(self, name: str) -> None:
        """Ports are open while it runs, in a network that is not closed."""
        one = self.there[name]
        open_now = one["State"]["Running"] and set(one["NetworkSettings"]["Networks"]) - {CLOSED}
        one["NetworkSettings"]["Ports"] = one["HostConfig"]["PortBindings"] if open_now else {}

    def ask(self, argv: Sequence[str], **_: Any) -> str:
        """As the real one."""
        words = list(argv)
        if words[1] == "ps":
            wanted = [word.removeprefix("label=").split("=", 1) for word in words if word.startswith("label=")]
            return "\n".join(key for key, one in self.there.items() if _has(one, wanted))
        result = self.run(argv)
        if result.code:
            raise CommandFailed(result.err)
        return result.out

    def ask_all(self, argvs: Sequence[Sequence[str]]) -> None:
        """As the real one."""
        for one in argvs:
            self.ask(one)

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        """As docker answers."""
        words = list(argv)
        if "inspect" in words:
            return Result(0, json.dumps([self.there[one] for one in words if one in self.there]), "")
        if words[1] == "network" and words[2] not in {"connect", "disconnect"}:
            return Result(0, "", "")
        names = [one for one in words if one in self.there]
        said = " ".join([words[2], *words[-2:]] if words[1] == "network" else [words[1], *names])
        self.asked.append(said)
        if said in self.fails:
            return Result(1, "", f"{said}: no")
        return self._done(words, names)

    def _done(self, words: list[str], names: list[str]) -> Result:
        for name in names:
            one = self.there[name]
            ends = one["NetworkSettings"]["Networks"]
            if words[1] in {"start", "restart", "stop"}:
                one["State"]["Running"] = words[1] != "stop"
            elif one["HostConfig"]["NetworkMode"].startswith(("host", "container:")):
                return Result(1, "", "container sharing network namespace with another container or host")
            elif words[2] == "connect":
                ends[words[-2]] = {"Aliases": [name]}
            elif words[2] == "disconnect":
                ends.pop(words[-2])
            self._publish(name)
        return Result(0, "", "")

    @property
    def up(self) -> list[str]:
        """Who runs."""
        return [key for key, one in self.there.items() if one["State"]["Running"]]


def _has(one: dict[str, Any], wanted: list[list[str]]) -> bool:
    return all(one["Config"]["Labels"].get(key) == value for key, value in wanted)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Its doorkeeper says whether it was opened; the proof from inside is another test's."""
    engine, held = Docker(), list[bool]()
    monkeypatch.setattr(Door, "open", lambda _, ports: held.append(bool(ports)))
    monkeypatch.setattr(Door, "remove", lambda _: held.clear())
    monkeypatch.setattr(Door, "reading", lambda _: Reading(any(held), "503" if held else "nobody holds the ports"))
    monkeypatch.setattr(Door, "image", lambda _: "image")
    monkeypatch.setattr(Door, "address", lambda _: "")
    monkeypatch.setattr("rollback.containment.ways.out", lambda *_: Reading(holds=True, seen="tried"))
    monkeypatch.setattr(Monitoring, "project", "m")
    monkeypatch.setattr("rollback.containment.isolation.SETTLE_SECONDS", 0.1)
    return engine


def deployment(tmp_path: Path, docker: Docker) -> Any:
    """One with a monitoring stack, whose files lie in a folder of their own."""
    settings = SimpleNamespace(
        edge=SimpleNamespace(service="edge", reload=[]), services={}, timing=SimpleNamespace(healthy=0.1),
        monitoring=SimpleNamespace(files=["monitoring/m.yml"]), containment=SimpleNamespace(redis=None),
        database=SimpleNamespace(service="db"),
    )  # fmt: skip

    def containers() -> list[Container]:
        return [Container.of(one) for one in docker.there.values() if _has(one, [["com.docker.compose.project", "p"]])]

    return SimpleNamespace(
        state=tmp_path / ".rollback", root=tmp_path, project="p", engine=docker, settings=settings,
        edge_running=lambda: "edge" if "edge" in docker.up else None, in_edge=lambda *_: Result(0, "", ""),
        containers=containers, run_folder=lambda run: tmp_path / run,
        hashes=lambda _: {one.service: None for one in containers() if not one.one_off}, compose=None,
    )  # fmt: skip


@pytest.fixture
def one(tmp_path: Path, docker: Docker) -> Isolation:
    """The isolation of a deployment that serves."""
    return Isolation(deployment(tmp_path, docker))


def watched(docker: Docker, tmp_path: Path) -> None:
    """Its monitoring stack runs, and one of another checkout, which goes by the same name."""
    docker.add("grafana", "m_default", of="m", folder=f"{tmp_path}/monitoring", bindings={"3000/tcp": [
        {"HostIp": "0.0.0.0", "HostPort": "3000"}]})  # noqa: S104 -- as it is published  # fmt: skip
    docker.add("other", "m_default", of="m", folder="/elsewhere/monitoring")


def homes(docker: Docker) -> dict[str, list[str]]:
    """In which networks everybody is."""
    return {key: list(one["NetworkSettings"]["Networks"]) for key, one in docker.there.items()}


@pytest.mark.parametrize("mode", ["host", "container:edge"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_who_cannot_be_moved_is_no_obstacle(one: Isolation, docker: Docker, mode: str, *, running: bool) -> None:
    """He is stopped, is told in the plan, and runs again afterwards if he ran; where he stands nobody is astray."""
    docker.add("sidecar", mode)
    docker.there["sidecar"]["State"]["Running"] = running
    before = homes(docker)
    assert one.possible() == (["sidecar"] if running else [])
    one.shut()
    assert (one.reading().holds, docker.up) == (True, ["edge", "api"])
    one.open()
    assert docker.up == ["edge", "api", *(["sidecar"] if running else [])]
    assert (homes(docker), one.opened().holds) == (before, True)


def test_one_that_is_started_meanwhile_is_seen(one: Isolation, docker: Docker) -> None:
    """The proof looks at what runs; doing it again stops him."""
    docker.add("sidecar", "container:edge")
    one.shut()
    docker.there["sidecar"]["State"]["Running"] = True
    assert (one.reading().holds, "nobody can shut them in: sidecar" in one.reading().seen) == (False, True)
    one.shut()
    assert one.reading().holds


def test_the_monitoring_stack_is_shut_too(one: Isolation, docker: Docker, tmp_path: Path) -> None:
    """Stopped, with its ports, and started at home; that of another checkout is told and left alone."""
    watched(docker, tmp_path)
    assert one.possible() == ["grafana"]
    assert [told for told in one.gaps_of_others() if "/elsewhere/monitoring" in told]
    one.shut()
    assert (one.reading().holds, docker.up) == (True, ["edge", "api", "other"])
    docker.ask(["docker", "start", "grafana"])
    assert one.reading().seen == "running, and nobody can shut them in: grafana"
    one.shut()
    one.open()
    assert docker.up == ["edge", "api", "grafana", "other"]
    assert docker.asked[-1] == "start grafana"


def test_a_stack_that_nobody_ran_is_not_started(one: Isolation, docker: Docker, tmp_path: Path) -> None:
    """Whoever was stopped before stays so."""
    watched(docker, tmp_path)
    docker.there["grafana"]["State"]["Running"] = False
    one.shut()
    one.open()
    assert "grafana" not in docker.up


def test_monitoring_is_evidence(one: Isolation, docker: Docker, tmp_path: Path) -> None:
    """Its processes and connections are noted before it is stopped."""
    watched(docker, tmp_path)
    Evidence(one.deployment, "run", tmp_path / "run").note()
    noted = json.loads((tmp_path / "run/connections.json").read_text(encoding="utf-8"))
    assert sorted(noted["processes"]) == sorted(noted["sockets"]) == ["api", "edge", "grafana"]


@pytest.mark.parametrize(
    ("parts", "shut", "watched"),
    [
        (["isolate"], False, False),
        (["rotate"], False, True),
        (["rotate"], True, False),
        (["reopen"], True, True),
        (["isolate", "rotate", "reopen"], False, True),
        (["isolate", "rotate"], False, False),
        (["preserve"], False, False),
    ],
)
def test_monitoring_comes_back_where_it_is_opened(
    one: Isolation, monkeypatch: pytest.MonkeyPatch, parts: list[str], *, shut: bool, watched: bool
) -> None:
    """Never while the deployment stays shut: it would have a way out and the new password."""
    grafana = SimpleNamespace(id="g", running=not shut)
    monkeypatch.setattr(Monitoring, "beside", lambda _: SimpleNamespace(containers=lambda: [grafana]))
    found = Standing("now", stopped=["g"]) if shut else None
    asked = containment_survey._watched  # noqa: SLF001 -- the rule itself
    assert asked(one.deployment, parts, found) is watched
    grafana.running, grafana.id = False, "another, that nobody ran before"
    assert not asked(one.deployment, parts, found)


def test_what_is_made_anew_and_cannot_be_shut_in_waits(one: Isolation, docker: Docker) -> None:
    """Behind the shut door he is made and not started; he is well enough for that, and runs when it is opened."""
    one.shut()
    docker.add("sidecar", "host")
    docker.add("tool", "host")
    docker.there["tool"]["Config"]["Labels"][ONE_OFF] = "True"
    for name in ("sidecar", "tool"):
        docker.there[name]["State"]["Running"] = False
    renewal = Renewal(one.deployment, {})
    renewal._start(["edge", "api", "sidecar", "tool"])  # noqa: SLF001 -- all else of it needs Compose
    assert (docker.up, one.reading().holds) == (["edge", "api"], True)
    assert (renewal.anew().holds, renewal.anew().seen) == (True, "2 of 3 healthy, started when it is opened: sidecar")
    one.open()
    assert docker.up == ["edge", "api", "sidecar"]
    docker.there["sidecar"]["State"]["Running"] = False
    assert renewal.anew().seen == "not well: sidecar"


# an edge that is down


@pytest.mark.parametrize("state", ["down", "between two tries"])
def test_an_edge_that_died_does_not_keep_it_open(one: Isolation, docker: Docker, state: str) -> None:
    """What it would publish is held; opened again, it is started."""
    edge = docker.there["edge"]
    docker.add("tool")
    docker.there["tool"]["State"]["Running"] = False
    docker.there["tool"]["Config"]["Labels"] |= {"com.docker.compose.service": "edge", ONE_OFF: "True"}
    edge["State"]["Running"] = state != "down"
    edge["NetworkSettings"]["Ports"] = {}
    one.possible()
    one.shut()
    standing = Standing.read(one.deployment)
    assert standing is not None
    assert (standing.ports, one.reading().holds) == ([AT_HOME], True)
    one.open()
    assert (docker.up, edge["NetworkSettings"]["Ports"]) == (["edge", "api"], BOUND)


def test_ports_that_a_killed_try_did_not_see_are_seen_again(one: Isolation) -> None:
    """The edge is in already, and publishes nothing: what it would publish is known all the same."""
    one.shut()
    standing = Standing.read(one.deployment)
    assert standing is not None
    standing.ports = []
    standing.write(one.deployment)
    one.shut()
    found = Standing.read(one.deployment)
    assert found is not None
    assert found.ports == [AT_HOME]


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ({"HostIp": "", "HostPort": "80"}, ["80:80/tcp"]),
        ({"HostIp": "::1", "HostPort": "80"}, ["[::1]:80:80/tcp"]),
        ({"HostIp": "", "HostPort": ""}, []),
        ({"HostIp": "", "HostPort": "0"}, []),
    ],
    ids=["any address", "IPv6", "any port", "any port as well"],
)
def test_what_an_edge_would_publish(one: Isolation, docker: Docker, bound: dict[str, str], wanted: list[str]) -> None:
    """As docker takes it; a port that the engine would choose is no port that could be held: that is refused."""
    edge = docker.there["edge"]
    edge["HostConfig"]["PortBindings"] = {"80/tcp": [bound]}
    edge["State"]["Running"], edge["NetworkSettings"]["Ports"] = False, {}
    if not wanted:
        with pytest.raises(Refused, match="nobody knows which ports are to be held"):
            one.possible()
        return
    one.shut()
    standing = Standing.read(one.deployment)
    assert standing is not None
    assert standing.ports == wanted
    edge["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": bound["HostIp"] or "0.0.0.0", "HostPort": "80"}]}  # noqa: S104 -- as the engine has it
    one.open()


# opened, and shut again


class _Ends:
    """Ways in which an opening ends badly."""

    @staticmethod
    def not_served() -> None:
        raise Failed("The checklist does not hold.")

    @staticmethod
    def interrupted() -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("ends", [_Ends.not_served, _Ends.interrupted])
def test_what_fails_when_it_is_open_shuts_it_again(one: Isolation, docker: Docker, tmp_path: Path, ends: Any) -> None:
    """Whoever is not served is not let in either: all is as it was behind the shut door."""
    watched(docker, tmp_path)
    one.shut()
    with pytest.raises((Failed, KeyboardInterrupt)):
        one.open(ends)
    assert (one.reading().holds, docker.up) == (True, ["edge", "api", "other"])
    one.open()
    assert (docker.up, one.opened().holds) == (["edge", "api", "grafana", "other"], True)


@pytest.mark.parametrize("fails", ["connect p_default api", "connect p_default edge", "start grafana"])
def test_what_fails_on_the_way_out_shuts_it_again(one: Isolation, docker: Docker, tmp_path: Path, fails: str) -> None:
    """Whoever is at home already comes back in."""
    watched(docker, tmp_path)
    one.shut()
    docker.fails = {fails}
    with pytest.raises(CommandFailed):
        one.open()
    assert one.reading().holds


def test_interrupted_at_the_edge_the_door_is_shut(
    one: Isolation, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's Ctrl-C is no reason to leave the ports to nobody, and the services at home."""
    one.shut()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Isolation, "_edge_back", interrupt)
    with pytest.raises(KeyboardInterrupt):
        one.open()
    assert (one.reading().holds, set(map(tuple, homes(docker).values()))) == (True, {(CLOSED,)})


def test_that_it_could_not_be_shut_again_is_said(one: Isolation, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both reasons."""
    one.shut()

    def refuse(_: object) -> None:
        raise CommandFailed("The engine is gone.")

    monkeypatch.setattr(Isolation, "shut", refuse)
    with pytest.raises(Failed, match=r"The checklist does not hold\. It could not be shut again either: The engine is"):
        one.open(_Ends.not_served)


def test_a_checklist_that_does_not_hold_opens_nothing(
    one: Isolation, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The procedure reads it while it is open, and shuts it again."""
    bad = SimpleNamespace(ok=False, check="frontend", seen="no page")
    monkeypatch.setattr(containment, "verify", lambda *_: [bad])
    one.shut()
    with pytest.raises(Failed, match="frontend: no page"):
        containment._Procedure(one.deployment, {"run": "r"})._open()  # noqa: SLF001 -- what the step does
    assert one.reading().holds
    assert docker.up == ["edge", "api"]
