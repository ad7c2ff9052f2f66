"""Services that no release has: the order in which they are made anew, and what a failure says was changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from drills.unit.switches import Screen
from rollback.composing import Compose
from rollback.journal import Journal
from rollback.outcome import Exit, Failed, NothingToDo, Refused
from rollback.parts.standin import overlay_text
from rollback.plan import Reading, Step
from rollback.procedures import application, compose, environment, others
from rollback.procedures.others import Others
from rollback.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment
    from rollback.release import Release

EDGE = "nginx-prod"


@dataclass
class World:
    """Compose, the edge and the stand-ins, each as a line of what was done.

    Attributes:
        known: the services of the files of before; None where Compose cannot read them.
        fails: what does not come true.
        unlike: services that run with something else than the release's files say.
    """

    folder: Path
    known: set[str] | None
    unlike: set[str]
    fails: str = ""
    does: list[str] = field(default_factory=list)
    files: str = "bad"
    runs: set[str] = field(default_factory=set)
    generation: str = "before"

    def done(self, what: str) -> None:
        """Note it; a thing that fails raises what the real one does."""
        self.does.append(what)
        if what == self.fails:
            raise Refused(f"{what} fails.")

    def begin(self, name: str, reads: str = "") -> Step:
        """A step of another module that is there as soon as it was done."""
        return Step(name, "", lambda: Reading((reads or name) in self.does, ""), lambda: self.done(name), gate=True)

    def hashes(self, _: object) -> dict[str, str]:
        """Compose's hashes with the files that lie there."""
        if self.known is None and self.files == "bad":
            raise Failed("Compose cannot read them.")
        return dict.fromkeys(self.known or (), "")

    def ask(self, argv: list[str]) -> None:
        """What the engine was told to do."""
        self.done(f"{' '.join(argv)} by {self.files} files")

    def up(self, services: list[str], _: int) -> None:
        """By the files of the release."""
        self.unlike -= set(services)
        self.done(f"up {' '.join(services)}")

    def switch(self, generation: str, content: str, *, anew: bool = False) -> None:
        """The edge reads its file; made anew it is as its files say."""
        if anew:
            self.unlike.discard(EDGE)
        self.done(f"edge{' anew' if anew else ''} leads to {content}")
        self.generation = generation

    def put(self, files: str) -> None:
        """What lies in the checkout."""
        self.files = files

    def others(self, **facts: Any) -> Others:
        """The procedure on this world."""
        compose = SimpleNamespace(up=lambda services, **_: ["up", *services])
        here = SimpleNamespace(
            settings=SimpleNamespace(
                edge=SimpleNamespace(service=EDGE, upstream_file="u"), timing=SimpleNamespace(healthy=1)
            ),
            hashes=self.hashes,
            compose=compose,
            engine=SimpleNamespace(ask=self.ask),
            containers=list,
        )
        pin = SimpleNamespace(
            reading=lambda: Reading(self.files == "good", ""),
            put=lambda: self.put("good"),
            up=self.up,
            unlike_running=lambda: sorted(self.unlike),
        )
        known = {"parts": ["compose"], "run": "r1", "roles": ["backend"], "absent": [], "edge_runs": True, **facts}
        return _short(self, here, known, pin)


def _short(world: World, here: Any, known: dict[str, Any], pin: Any) -> Others:
    """Without the steps of the application that come after users were moved."""

    class Short(Others):
        def _started_beside(self) -> Step:
            return world.begin("beside")

        def _proven_beside(self) -> Step:
            return world.begin("proven")

        def _users_moved(self) -> Step:
            return world.begin("moved")

        def _drained(self) -> Step:
            return world.begin("drained")

        def _replaced(self) -> tuple[Step, ...]:
            return (world.begin("replaced"),)

        def _proof(self) -> tuple[Step, ...]:
            return ()

        def _notes(self) -> list[str]:
            return []

        def _title(self) -> str:
            return ""

    edge = SimpleNamespace(
        generation=lambda: world.generation, switch=world.switch, content=lambda _, servers, __: " ".join(servers)
    )
    preflight = SimpleNamespace(recorded=lambda: world.begin("recorded"), restore_files=lambda _: world.put("bad"))
    release = SimpleNamespace(version="v1", files={"compose": []})
    names = SimpleNamespace(names=lambda: {"a-stand-in": ""})
    return Short(*cast("Any", (here, known, release, names, preflight, pin, None, edge)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Redis and the edge run with what the bad files say."""
    return World(tmp_path, {"redis", EDGE, "backend"}, {"redis", EDGE})


def run(world: World, **facts: Any) -> Exit:
    """Carry it out; how it ended."""
    runner = Runner(Journal(world.folder / "journal.jsonl"), Screen(), str)
    try:
        runner.run(world.others(**facts).plan())
    except Failed as stop:
        return stop.exit
    return Exit.DONE


def test_the_edge_is_made_anew_when_there_is_somebody_to_lead_to(world: World) -> None:
    """It would not start for a backend that has no name: it starts leading to the stand-in."""
    assert run(world, others=["redis", EDGE]) is Exit.DONE
    assert world.does == [
        "recorded",
        "up redis",
        "beside",
        "edge anew leads to a-stand-in",
        "proven",
        "moved",
        "drained",
        "replaced",
    ]


def test_an_edge_that_does_not_run_is_started_the_same_way(world: World) -> None:
    """Nobody can be asked through it before."""
    world.unlike.clear()
    assert run(world, others=[], edge_runs=False) is Exit.DONE
    assert world.does[:4] == ["recorded", "beside", "edge leads to a-stand-in", "proven"]


def test_what_was_made_anew_is_put_back_and_no_refusal_says_that_nothing_was_changed(world: World) -> None:
    """Exit 30 and not 20; by the files of before, which lie there again."""
    world.fails = "proven"
    assert run(world, others=["redis", EDGE]) is Exit.PUT_BACK
    assert world.does[-2:] == [f"up {EDGE} by bad files", "up redis by bad files"]
    assert world.files == "bad"


def test_where_nothing_else_was_made_anew_a_refusal_is_one(world: World) -> None:
    """The files are put back, and nothing else was touched."""
    world.fails = "proven"
    assert run(world, others=[]) is Exit.REFUSED


def test_files_of_before_that_nobody_can_read_put_nothing_back(world: World) -> None:
    """Then what was made anew stays, and that is said: exit 40."""
    world.fails, world.known = "beside", None
    assert run(world, others=["redis"]) is Exit.NOT_PUT_BACK


def test_a_service_that_the_files_of_before_do_not_have_cannot_be_put_back(world: World) -> None:
    """One that ran all the same: nothing can make it again."""
    world.fails, world.known = "beside", {"backend"}
    assert run(world, others=["redis"]) is Exit.NOT_PUT_BACK


def test_a_service_that_did_not_run_before_need_not_be_put_back(world: World) -> None:
    """It is taken away again."""
    world.fails, world.known = "beside", {"backend"}
    assert run(world, others=["redis"], absent=["redis"]) is Exit.PUT_BACK


def test_without_released_services_all_of_them_are_made_anew_at_once(world: World) -> None:
    """Nobody has to be moved."""
    assert run(world, others=["redis", EDGE], roles=[]) is Exit.DONE
    assert world.does == ["recorded", f"up redis {EDGE}"]


def surveyed(monkeypatch: pytest.MonkeyPatch, touched: list[str]) -> dict[str, Any]:
    """What `rollback environment` finds where its files change these services that no release has."""
    release = SimpleNamespace(version="v1", files={"environment": []})
    pin = SimpleNamespace(
        release=release, names=dict, changed_roles=list, unlike_running=lambda: touched, deployment=None
    )
    here = SimpleNamespace(
        root="/nowhere",
        settings=SimpleNamespace(edge=SimpleNamespace(service=EDGE)),
        containers=list,
        edge_running=lambda: "c1",
        image_ids=lambda _: {},
        config=lambda _: {"services": {}},
        compose=None,
    )
    pin.deployment = here
    for name, fake in {
        "blue_serves": lambda _: None,
        "Pin": lambda *_: pin,
        "release_compose": lambda *_: None,
        "files": SimpleNamespace(differing=lambda *_: []),
        "target": SimpleNamespace(
            running=lambda _: {},
            recorded=lambda *_: release,
            partial=lambda *_: release,
            facts=lambda *given: {"told": given[-1], "roles": given[-2], "parts": [given[1]]},
        ),
    }.items():
        monkeypatch.setattr(environment, name, fake)
    return environment.survey(cast("Deployment", here), "v1", "r1")


def test_env_files_that_change_redis_put_redis_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was refused, and no command could do it; the plan says who is away for a moment."""
    found = surveyed(monkeypatch, ["redis"])
    assert found["others"] == ["redis"]
    assert found["told"] == ["redis is made anew by Compose: it is away for a moment, and its data stay"]


def test_env_files_that_change_nothing_leave_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a released service nor another one."""
    with pytest.raises(NothingToDo):
        surveyed(monkeypatch, [])


def test_env_files_of_every_service_are_those_of_the_release(tmp_path: Path) -> None:
    """What changes a worker that no release has is seen as well: Compose would make it anew at the next `up`."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/worker.env").write_text("A=1\n", encoding="utf-8")
    release = SimpleNamespace(
        images={"backend": SimpleNamespace(service="api")},
        kept=lambda name: tmp_path / "kept" / name,
        files={"compose": []},
        live=tmp_path,
    )
    model = {"api": {}, "worker": {"env_file": [{"path": str(tmp_path / "worker.env")}]}}
    here = SimpleNamespace(
        root=tmp_path,
        settings=SimpleNamespace(compose=SimpleNamespace(files=[])),
        compose=Compose(tmp_path, ()),
        config_unresolved=lambda _: {"services": model},
    )
    text = overlay_text(cast("Deployment", here), cast("Release", release), {"backend": "image:1"})
    assert text == (
        f'services:\n  "api":\n    image: "image:1"\n  "worker":\n    env_file: !override\n'
        f'      - path: "{tmp_path}/kept/worker.env"\n        required: true\n'
    )


def test_a_network_takes_all_that_is_in_it_along(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken away once nothing of the bad files is in it, and put back by the files of before if that fails."""
    unlike = ["default"]

    def anew(names: list[str], services: list[str]) -> None:
        world.done(f"network {' '.join(names)} with {' '.join(services)} by {world.files} files")
        unlike.clear()

    fake = SimpleNamespace(reading=lambda *_: Reading(not unlike, ""), anew=anew, unlike=lambda: unlike)
    monkeypatch.setattr(others, "Networks", lambda *_: fake)
    world.fails = "up redis nginx-prod"
    assert run(world, others=["redis", EDGE], networks=["default"], roles=[]) is Exit.PUT_BACK
    assert world.does == [
        "recorded",
        f"network default with redis {EDGE} by good files",
        f"up redis {EDGE}",
        f"network default with redis {EDGE} by bad files",
        f"up redis {EDGE} by bad files",
    ]


@pytest.mark.parametrize(("unlike", "holds"), [(["default"], False), ([], True)])
def test_a_network_that_differs_is_something_that_a_plain_up_changes(
    world: World, monkeypatch: pytest.MonkeyPatch, unlike: list[str], *, holds: bool
) -> None:
    """Compose's hashes of services say nothing of it."""
    monkeypatch.setattr(application, "Networks", lambda *_: SimpleNamespace(unlike=lambda: unlike))
    known = world.others(others=[])
    monkeypatch.setattr(known.pin, "settled", lambda: Reading(holds=True, seen=""), raising=False)
    assert application.Procedure._settled(known).holds is holds  # noqa: SLF001 -- the reading of the last but one step


def test_compose_files_of_another_network_move_nobody_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """All services of the network go at once, released ones as well, and the plan says what users meet."""
    release = SimpleNamespace(version="v1", files={"compose": []}, images={})
    here = SimpleNamespace(
        root="/nowhere",
        settings=SimpleNamespace(edge=SimpleNamespace(service=EDGE)),
        containers=list,
        edge_running=lambda: "c1",
    )
    networks = SimpleNamespace(unlike=lambda: ["default"], services=lambda _: ["backend", EDGE], alone=lambda *_: None)
    for name, fake in {
        "blue_serves": lambda _: None,
        "_images": lambda *_: {},
        "_added": lambda *_: {},
        "release_compose": lambda *_: None,
        "Networks": lambda *_: networks,
        "Pin": lambda *_: SimpleNamespace(changed_roles=list, unlike_running=list),
        "files": SimpleNamespace(differing=lambda *_: []),
        "target": SimpleNamespace(
            running=lambda _: {},
            recorded=lambda *_: SimpleNamespace(images={}, files=release.files, version="v1"),
            partial=lambda *_: release,
            facts=lambda *given: {"told": given[-1], "roles": given[-2], "parts": [given[1]]},
        ),
    }.items():
        monkeypatch.setattr(compose, name, fake)
    found = compose.survey(cast("Deployment", here), "v1", "r1")
    assert (found["networks"], found["others"], found["roles"]) == (["default"], ["backend", EDGE], [])
    assert "the network default is made anew, with all that is in it: users reach nothing meanwhile" in found["told"]
