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
from rollback.procedures import environment
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
