"""Switching colours: what is believed of the edge's file, and when the other colour may be stopped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from drills.unit.switches import Screen
from rollback.deployment import Answer, Deployment
from rollback.documents import impact
from rollback.engine import Engine, Result
from rollback.journal import Journal
from rollback.outcome import Exit, Failed, NothingToDo
from rollback.parts.colours import Colours
from rollback.parts.edge import Edge, upstreams
from rollback.plan import Reading
from rollback.procedures import switch
from rollback.release import Shelf
from rollback.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
SERVICES = {"backend": "blue", "backend-green": "green"}


@dataclass
class World:
    """Two colours behind an nginx that has read its file once, and reads it again when it is reloaded.

    Attributes:
        read: the upstream file as nginx has it.
        runs: the services that run.
        ill: those that answer 503.
        states: the migrations that a colour says it works with.
    """

    deployment: Deployment
    read: str = ""
    runs: set[str] = field(default_factory=lambda: set(SERVICES))
    ill: set[str] = field(default_factory=set)
    states: list[str] = field(default_factory=lambda: ["012"])

    def file(self, server: str, words: str = "g1") -> str:
        """An upstream file that leads to this server."""
        return upstreams(Edge(self.deployment).routes({"backend": server}, {}), words, 80)

    def write(self, text: str) -> None:
        """By hand: nobody tells nginx."""
        (self.deployment.root / "nginx/upstream.conf").write_text(text, encoding="utf-8")

    def reload(self, *_: object, **__: object) -> None:
        """Nginx reads what is there."""
        self.read = (self.deployment.root / "nginx/upstream.conf").read_text(encoding="utf-8")

    def served(self) -> str:
        """To whom nginx really leads."""
        return re.findall(r"upstream backend { server ([\w-]+):", self.read)[0]  # type: ignore[no-any-return]

    def through(self, _: Deployment, path: str, *headers: str) -> Answer:
        """What the edge's own listener says."""
        if not headers:
            return self._health(self.served())
        if path == "/leads" and path in self.read:
            return Answer(200, re.findall(r'/leads .*?return 200 "(.*?)"', self.read)[0].replace(r"\n", "\n").strip())
        return Answer(200, re.findall(r'location / .*?return 200 "(.*?)\\n"', self.read)[0])

    def _health(self, service: str) -> Answer:
        return Answer(503 if service in self.ill else 200 if service in self.runs else 502, "")

    def fetched(self, _: Deployment, urls: list[str]) -> list[Answer]:
        """A colour asked directly."""
        service = urls[0].split("/")[2].partition(":")[0]
        said = json.dumps({"version": "v1", **({"schema_heads": self.states} if self.states else {})})
        return [Answer(200, said), self._health(service)]

    def serving(self, _: Deployment, service: str) -> list[Any]:
        """The containers of a service."""
        return [SimpleNamespace(id=service, name=service, running=True, image=service)] if service in self.runs else []

    def surveyed(self, colour: str, *, retire: bool = False) -> dict[str, Any]:
        """What the command finds."""
        return switch.survey(self.deployment, colour, "r1", retire=retire)

    def carry_out(self, colour: str, *, retire: bool) -> None:
        """The plan without the record of what was there before."""
        plan = switch.plan(self.deployment, self.surveyed(colour, retire=retire))
        runner = Runner(Journal(self.deployment.root / "journal.jsonl"), Screen(), str)
        runner.run(replace(plan, steps=plan.steps[1:]))


def _becomes(world: World, change: Callable[[set[str], str], None]) -> Callable[..., None]:
    return lambda colours, name: change(world.runs, colours.service(name))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Both colours run, and blue serves."""
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8").replace("healthy = 20", "healthy = 1")
    (tmp_path / "rollback.toml").write_text(re.sub(r"bake_seconds = 10 ", "bake_seconds = 1 ", text), encoding="utf-8")
    (tmp_path / "nginx").mkdir()
    found = World(Deployment.load(tmp_path))
    found.deployment.run_folder("r1").mkdir(parents=True)
    found.write(found.file("backend"))
    found.reload()
    fakes: dict[str, Any] = {"through_edge": found.through, "fetch_all": found.fetched, "serving": found.serving}
    fakes |= {"edge_running": lambda _: "nginx", "migrations": lambda _: ["012"]}
    monkeypatch.setattr(Shelf, "all", lambda _: [])
    for name, fake in fakes.items():
        # a function, so that it is bound as the method was
        monkeypatch.setattr(Deployment, name, lambda *given, _fake=fake: _fake(*given))
    monkeypatch.setattr(Edge, "_apply", found.reload)
    monkeypatch.setattr(Edge, "drain", lambda _: None)
    monkeypatch.setattr(Edge, "draining", lambda _: Reading(holds=True, seen="none left"))
    monkeypatch.setattr(Colours, "say_farewell", lambda *_: "")
    monkeypatch.setattr(Colours, "stop", _becomes(found, set.discard))
    monkeypatch.setattr(Colours, "start", _becomes(found, set.add))
    monkeypatch.setattr(impact, "since", lambda *_, **__: impact.Count(10, 0))
    return found


def test_a_file_that_nginx_never_read_is_no_switch(world: World) -> None:
    """Edited by hand: users are with blue still, and are moved, and only then is blue stopped."""
    world.write(world.file("backend-green"))
    assert world.surveyed("green")["moves"]
    world.carry_out("green", retire=True)
    assert world.served() == "backend-green"
    assert world.runs == {"backend-green"}


def test_users_that_nginx_leads_to_a_colour_are_served_already(world: World) -> None:
    """The answer is the old one where it is true."""
    world.write(world.file("backend-green"))
    world.reload()
    with pytest.raises(NothingToDo, match="Users are served by green already"):
        world.surveyed("green")


def test_a_server_that_was_changed_by_hand_alone_is_not_taken_for_written(world: World) -> None:
    """Nginx says of the file that it has read what stands in it beside the servers: a hand changes those alone."""
    world.write(world.file("backend").replace("server backend:", "server backend-green:"))
    assert world.surveyed("green")["moves"]


def test_a_file_from_before_tells_nothing(world: World) -> None:
    """It had only a generation; that is no word of who serves."""
    old = re.sub(r"location = /leads .*?; } ", "", world.file("backend-green"))
    world.write(old)
    world.reload()
    assert world.surveyed("green")["moves"]


@pytest.mark.parametrize("applied", [True, False])
def test_the_other_colour_is_not_stopped_for_one_that_is_ill(world: World, *, applied: bool) -> None:
    """Whether nginx leads to it or not: refused, and nothing was changed."""
    world.write(world.file("backend-green"))
    if applied:
        world.reload()
    before, world.ill = world.read, {"backend-green"}
    with pytest.raises(Failed) as caught:
        world.carry_out("green", retire=True)
    assert caught.value.exit is Exit.REFUSED
    assert world.runs == set(SERVICES)
    assert world.read == before


def test_before_the_other_colour_is_stopped_the_edge_proves_who_serves(world: World) -> None:
    """An nginx that does not take the file stops nobody, whatever it said before."""
    world.write(world.file("backend-green"))
    world.reload()
    world.carry_out("green", retire=True)
    assert "r1-green" in world.read
    assert world.runs == {"backend-green"}


def test_an_edge_that_does_not_take_the_file_stops_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said that green serves; what is put into force anew is not seen, and blue goes on."""
    world.write(world.file("backend-green"))
    world.reload()
    monkeypatch.setattr(Edge, "_apply", lambda *_, **__: (_ for _ in ()).throw(Failed("nginx refuses it")))
    with pytest.raises(Failed):
        world.carry_out("green", retire=True)
    assert world.runs == set(SERVICES)


def test_who_turns_ill_before_the_other_is_stopped_leaves_it_running(world: World) -> None:
    """The proof comes after the reload: what was healthy when asked directly has to be so through the edge."""
    world.write(world.file("backend-green"))
    world.reload()
    plan = switch.plan(world.deployment, world.surveyed("green", retire=True))
    assert [one.name for one in plan.steps[1:]] == [
        "green proven",
        "users served by green",
        "green serves still",
        "blue stopped",
    ]


def test_an_unhealthy_colour_is_refused_and_nothing_was_changed(world: World) -> None:
    """Before anybody is sent to it."""
    before, world.ill = world.read, {"backend-green"}
    with pytest.raises(Failed, match="green health 503") as caught:
        world.carry_out("green", retire=False)
    assert caught.value.exit is Exit.REFUSED
    assert world.read == before


def test_a_colour_that_cannot_use_the_schema_is_refused(world: World) -> None:
    """By its own word."""
    before, world.states = world.read, ["013", "014"]
    with pytest.raises(Failed, match="green works with migration 013, 014, the database is at 012") as caught:
        world.carry_out("green", retire=False)
    assert caught.value.exit is Exit.REFUSED
    assert world.read == before


UNHEARD = "green answers as v1, healthy; whether it works with migration 012 nobody says, no recorded release either"


@pytest.mark.parametrize(
    ("image", "heads", "seen"),
    [
        ("backend-green", ["011"], "green works with migration 011, the database is at 012"),
        ("backend-green", ["011", "012"], "green answers as v1, healthy"),
        ("another image", ["011"], UNHEARD),
    ],
    ids=["against", "for", "nobody"],
)
def test_for_a_colour_that_states_nothing_its_record_speaks(
    world: World, monkeypatch: pytest.MonkeyPatch, image: str, heads: list[str], seen: str
) -> None:
    """The release that its image was recorded with; where there is none, that nobody knows is said."""
    world.states = []
    release = SimpleNamespace(images={"backend": SimpleNamespace(id=image)}, works_with=heads)
    monkeypatch.setattr(Shelf, "all", lambda _: [release])
    assert Colours(world.deployment).proven("green", "012") == Reading("answers as" in seen, seen)


def test_a_log_that_cannot_be_read_once_is_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is busy for a moment: the colour is watched on."""
    answers: list[object] = [Failed("`docker logs` did not end within 20 s.")]

    def since(*_: object, **__: object) -> impact.Count:
        if answers:
            raise answers.pop()  # type: ignore[misc]
        return impact.Count(10, 0)

    monkeypatch.setattr(impact, "since", since)
    world.carry_out("green", retire=False)
    assert not answers
    assert world.served() == "backend-green"


def test_a_log_that_cannot_be_read_in_the_end_lets_nothing_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody knows what users met: they go back."""

    def since(*_: object, **__: object) -> impact.Count:
        raise Failed("`docker logs` did not end within 20 s.")

    monkeypatch.setattr(impact, "since", since)
    with pytest.raises(Failed, match="What users met since they are served by green is not known") as caught:
        world.carry_out("green", retire=False)
    assert caught.value.exit is Exit.PUT_BACK
    assert world.served() == "backend"


def test_a_long_log_is_read_from_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of gigabytes only what can have come since: the engine would read all of them to find where that begins."""
    asked: list[list[str]] = []
    monkeypatch.undo()
    monkeypatch.setattr(Deployment, "serving", lambda *_: [SimpleNamespace(name="edge")])

    def save(_: Engine, argv: list[str], target: Path, **__: object) -> Result:
        asked.append(argv)
        target.write_text("", encoding="utf-8")
        return Result(0, "", "")

    monkeypatch.setattr(Engine, "save", save)
    procedure = switch._Procedure(world.deployment, {"colour": "green"})  # noqa: SLF001 -- the part that reads
    procedure._count(datetime.now(UTC))  # noqa: SLF001 -- same
    assert asked[0][3:5] == ["--tail", "50000"]
