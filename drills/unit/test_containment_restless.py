"""A container that dies and is brought back all the time: it is shut in, let out and asked like the others."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment import ways
from rollback.containment.evidence import Evidence
from rollback.containment.isolation import Isolation
from rollback.containment.restless import lasts
from rollback.containment.rotation import Rotation
from rollback.containment.standing import Home, Standing
from rollback.deployment import Container
from rollback.engine import CommandFailed, Result
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OF = "is restarting, wait until the container is running"
DOOR = "172.24.0.2/80"


class Engine:
    """Two containers; whatever is done with `restless` fails while it is not stopped, as docker has it by chance.

    Attributes:
        asked: what was asked of it.
        refuses: whether it does nothing with the other one, for whatever reason.
    """

    def __init__(self, *networks: str) -> None:
        self.asked: list[str] = []
        self.refuses = False
        self._tries = 0
        self._homes = {one: list(networks) for one in ("restless", "steady")}
        self._stopped: set[str] = set()

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        """As docker answers."""
        words = list(argv)
        if "inspect" in words:
            return Result(0, json.dumps([self._record(one) for one in self._homes if one in words]), "")
        name = next(one for one in self._homes if any(one in word for word in words))
        self.asked.append(f"{words[1]} {words[2]} {name}" if words[1] == "network" else f"{words[1]} {name}")
        if words[1] in {"stop", "start"}:
            (self._stopped.add if words[1] == "stop" else self._stopped.discard)(name)
        elif self.refuses if name == "steady" else name not in self._stopped:
            return Result(125 if words[1] == "run" else 1, "", f"Container {name} {OF}")
        elif words[1] == "network":
            (self._homes[name].append if words[2] == "connect" else self._homes[name].remove)(words[-2])
        return Result(0, f"{DOOR}\n" if words[1] == "run" else "nginx\n", "")

    def ask(self, argv: Sequence[str], **_: Any) -> str:
        """As the real one."""
        if argv[1] == "ps":
            return "restless\nsteady\n"
        result = self.run(argv)
        if result.code:
            raise CommandFailed(result.err)
        return result.out

    def _record(self, name: str) -> dict[str, Any]:
        """Each time that it is looked at, it has been started since."""
        self._tries += name == "restless"
        state = {"Running": name not in self._stopped, "Restarting": False, "Pid": 0,
                 "StartedAt": str(self._tries) if name == "restless" else ""}  # fmt: skip
        ends = {one: {"Aliases": [name]} for one in self._homes[name]}
        return {"Id": name, "Name": f"/{name}", "Image": "nginx", "Config": {"Labels": {}}, "State": state,
                "HostConfig": {}, "NetworkSettings": {"Networks": ends, "Ports": {}}}  # fmt: skip


def isolated(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Isolation:
    """A deployment that is being shut or opened, without an edge."""
    there: Any = SimpleNamespace(
        state=tmp_path, project="p", engine=engine, edge_running=lambda: None,
        settings=SimpleNamespace(
            edge=SimpleNamespace(service="edge"), services={}, monitoring=SimpleNamespace(files=[])
        ),
    )  # fmt: skip
    Standing("now", {one: [Home("p_default", ["x"], None)] for one in ("restless", "steady")}).write(there)
    monkeypatch.setattr("rollback.containment.door.Door.reading", lambda _: SimpleNamespace(holds=True))
    monkeypatch.setattr("rollback.containment.door.Door.remove", lambda _: None)
    for name in ("_network", "_afresh", "_edge_back", "_forget"):
        monkeypatch.setattr(Isolation, name, lambda *_: None)
    return Isolation(there)


def test_who_cannot_be_taken_in_is_stopped_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the closed network alone, and known as one that has to be started; nobody else is stopped."""
    engine = Engine("p_default")
    one = isolated(tmp_path, engine, monkeypatch)
    one.shut()
    assert [list(raw["NetworkSettings"]["Networks"]) for raw in one.inside()] == [["p_contained"]] * 2
    standing = Standing.read(one.deployment)
    assert standing is not None
    assert (standing.stopped, "stop steady" in engine.asked) == (["restless"], False)


def test_who_was_stopped_is_started_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has only begun to die behind the shut door, and never before it is at home."""
    engine = Engine("p_contained")
    one = isolated(tmp_path, engine, monkeypatch)
    one.open()
    assert [list(raw["NetworkSettings"]["Networks"]) for raw in one.inside()] == [["p_default"]] * 2
    assert [said for said in engine.asked if "restless" in said][-3:] == [
        "network disconnect restless", "network connect restless", "start restless"
    ]  # fmt: skip
    assert "start steady" not in engine.asked


@pytest.mark.parametrize(
    ("state", "up"),
    [
        ({"Running": True, "Restarting": False, "StartedAt": "1"}, True),
        ({"Running": True, "Restarting": True, "StartedAt": "1"}, False),
        ({"Running": False, "Restarting": False, "StartedAt": "1"}, False),
        ({"Running": True, "Restarting": False, "StartedAt": "2"}, False),
    ],
    ids=["up", "between two tries", "ended", "started since"],
)
def test_who_lasts_has_been_up_all_the_time(state: dict[str, Any], *, up: bool) -> None:
    """The engine calls one running that it is about to start again."""
    there: Any = SimpleNamespace(run=lambda _: Result(0, json.dumps([{"State": state}]), ""))
    assert lasts(there, {"Id": "c", "State": {"StartedAt": "1"}}) is up


def test_what_the_engine_refuses_of_others_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was up all the time is not stopped: whatever the reason is, it is another one."""
    engine = Engine("p_default")
    engine.refuses = True
    with pytest.raises(CommandFailed, match="steady"):
        isolated(tmp_path, engine, monkeypatch).shut()
    assert "stop steady" not in engine.asked


def test_nobody_gets_out_of_one_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not counted among those that have tried; where the attempt fails for another reason nothing is proven."""
    monkeypatch.setattr(ways, "_addresses", lambda _: ["172.17.0.1"])
    engine = Engine()
    there: Any = SimpleNamespace(engine=engine)
    records = json.loads(engine.run(["docker", "inspect", "restless", "steady"]).out)
    found = ways.out(there, records, "nginx", DOOR)
    assert (found.holds, "none of 1 containers" in found.seen) == (True, True)
    engine.refuses = True
    with pytest.raises(CommandFailed, match="steady"):
        ways.out(there, records, "nginx", DOOR)


def containers(engine: Engine) -> list[Container]:
    """As the deployment sees them."""
    return [Container.of(one) for one in json.loads(engine.run(["docker", "inspect", "restless", "steady"]).out)]


def test_one_that_ends_keeps_nobody_from_being_noted(tmp_path: Path) -> None:
    """Why it is not noted stands in its place."""
    engine = Engine()
    settings = SimpleNamespace(monitoring=SimpleNamespace(files=[]))
    there: Any = SimpleNamespace(engine=engine, containers=lambda: containers(engine), settings=settings)
    Evidence(there, "run", tmp_path).note()
    noted = json.loads((tmp_path / "connections.json").read_text(encoding="utf-8"))
    assert noted["processes"] == {"restless": [f"not to be read: Container restless {OF}"], "steady": ["nginx"]}
    assert sorted(noted["sockets"]) == ["restless", "steady"]


def test_the_database_is_asked_beside_somebody_who_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends meanwhile is asked last, and what docker says of him is no answer of the database."""
    table = SimpleNamespace(service="db", name="spheroseg")
    there: Any = SimpleNamespace(settings=SimpleNamespace(database=table))
    raw = json.loads(Engine().run(["docker", "inspect", "restless", "steady"]).out)
    asking = [
        Container.of(one | {"RestartCount": count, "Config": {"Labels": {"com.docker.compose.service": "api"}}})
        for one, count in zip(raw, (7, 0), strict=True)
    ]
    there.serving, there.containers, there.engine = (lambda _: asking[1:]), (lambda: asking), Engine()
    one = Rotation(there, tmp_path)
    monkeypatch.setattr("rollback.containment.rotation.disposable.label", lambda: "label")
    assert one.sign_in("postgres", "secret") == ""
    there.engine.refuses = True
    with pytest.raises(Failed, match="psql could not be run"):
        one.sign_in("postgres", "secret")
