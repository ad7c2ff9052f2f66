"""One look at the system: saves questions within a reading, and can never stand for a proof."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback import commands, look, questions
from rollback.composing import Compose
from rollback.engine import Engine, wait_until
from rollback.journal import Journal
from rollback.outcome import Failed
from rollback.parts import files
from rollback.plan import Plan, Reading, Step
from rollback.runner import Runner, proof

if TYPE_CHECKING:
    from collections.abc import Callable

#: A docker of which `ps` says what is in a file, and `tag` writes into it; `logs` waits for a file to appear.
DOCKER = """#!/bin/sh
echo "$*" >> "$0.asked"
case "$1" in
    ps) cat "$0.state" ;;
    logs) cat "$0.state"; touch "$0.asking"; while [ ! -e "$0.go" ]; do sleep 0.01; done ;;
    exec) cat "$0.state" ;;
    tag) echo "$2" > "$0.state" ;;
esac
"""
PS = commands.containers()


class World:
    """What there is, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.docker, self.engine = folder / "docker", Engine(folder)
        self.docker.write_text(DOCKER, encoding="utf-8")
        self.docker.chmod(0o755)
        self.becomes("well")

    def becomes(self, state: str) -> None:
        """By itself or by somebody else's hand: not through our door."""
        self._beside("state").write_text(f"{state}\n", encoding="utf-8")

    def _beside(self, name: str) -> Path:
        return self.docker.with_name(f"docker.{name}")

    def is_asking(self) -> tuple[bool, str]:
        """Whether the slow question has seen what it will answer."""
        return self._beside("asking").exists(), "not yet"

    def go(self) -> None:
        """Let the slow question end."""
        self._beside("go").touch()

    def seen(self) -> str:
        """What a question is answered."""
        return self.engine.ask(PS).strip()

    def asked(self) -> int:
        """How many programs were started."""
        return len(self._beside("asked").read_text(encoding="utf-8").splitlines())

    def step(self, act: Callable[[], None]) -> Step:
        """A step that is done when the system is well."""

        def read() -> Reading:
            now = self.seen()
            return Reading(now == "well", now)

        return Step("the system is well", "it has to be", read, act)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A system behind a docker of our own."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return World(tmp_path)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Runs plans with a journal of its own."""

    class Silent:
        def started(self, step: Step) -> None:
            """Nobody looks."""

        def working(self, text: str) -> None:
            """Nobody looks."""

        def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
            """Nobody looks."""

    return Runner(Journal(tmp_path / "journal.jsonl"), Silent(), str)


def plan(step: Step) -> Plan:
    """Of this step alone."""
    return Plan("application", {}, "run", "summary", (step,))


def test_a_question_is_put_once_in_a_look(world: World) -> None:
    """One reading speaks of one moment."""
    with look.shared():
        answers = [world.seen() for _ in range(3)]
    assert (answers, world.asked()) == (["well"] * 3, 1)


def test_without_a_look_every_question_is_put(world: World) -> None:
    """What acts sees what is."""
    before = world.seen()
    world.becomes("ill")
    assert (before, world.seen(), world.asked()) == ("well", "ill", 2)


def test_what_is_part_of_a_larger_reading_joins_its_look(world: World) -> None:
    """A checklist within a step's reading asks nothing twice; after it nothing is remembered."""
    with look.shared():
        world.seen()
        with look.shared():
            world.seen()
    assert world.asked() == 1
    with look.shared():
        world.seen()
    assert world.asked() == 2


def test_a_change_through_the_door_ends_what_is_remembered(world: World) -> None:
    """A look that was forgotten open knows nothing from before the change."""
    with look.shared():
        assert world.seen() == "well"
        world.engine.ask(commands.tag("ill", "b"))
        assert world.seen() == "ill"


def test_a_file_that_is_put_into_place_ends_it_as_well(world: World, tmp_path: Path) -> None:
    """Compose reads other files from then on."""
    with look.shared():
        world.seen()
        files.write(tmp_path / ".env", "A=1\n")
        world.seen()
    assert world.asked() == 2


def test_a_question_that_was_open_during_a_change_is_not_kept(world: World) -> None:
    """It may have seen half of it."""
    slow, said = commands.logs("a"), list[str]()
    with look.shared():
        inside = [world.engine]

        def ask() -> None:
            said.append(inside[0].ask_all([slow])[0].strip())

        changer = threading.Thread(target=lambda: _change_meanwhile(world))
        changer.start()
        ask()
        changer.join()
        ask()
    assert said == ["well", "ill"]


def _change_meanwhile(world: World) -> None:
    wait_until(world.is_asking, seconds=10, what="the question")
    world.engine.ask(commands.tag("ill", "b"))
    world.go()


def test_questions_side_by_side_are_remembered_for_who_asked_them(world: World) -> None:
    """Threads look with the eyes of the one that sent them."""
    with look.shared():
        world.engine.ask_all([PS, commands.container_images()])
        world.seen()
    assert world.asked() == 2


def test_an_old_answer_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long survey does not end with what it saw at its beginning."""
    monkeypatch.setattr(look, "LONGEST_SECONDS", 0.0)
    with look.shared():
        world.seen()
        world.becomes("ill")
        assert world.seen() == "ill"


def test_waiting_looks_anew_each_time(world: World) -> None:
    """Else it would wait for ever for what has come true."""

    def seen() -> tuple[bool, str]:
        now = world.seen()
        world.becomes("ill")
        return now == "ill", now

    with look.shared():
        assert wait_until(seen, seconds=5, what="the end") == "ill"


def test_a_command_whose_caller_says_that_it_asks_is_put_once(world: World) -> None:
    """`docker exec` may be anything; only who wrote the command knows."""
    argv = commands.execute("a", ["psql"], stdin=True)
    with look.shared():
        for query in ("one", "two", "one"):
            world.engine.ask(argv, stdin=query, question=True)
        assert world.asked() == 2
        world.engine.ask(argv, stdin="one")
        world.engine.ask(argv, stdin="one", question=True)
    assert world.asked() == 4


def test_a_stale_look_does_not_prove_a_step(world: World, runner: Runner) -> None:
    """The system was well when it was looked at, and is ill when the step is proven: the step is not done."""
    with look.shared():
        assert world.seen() == "well"
        world.becomes("ill")
        with pytest.raises(Failed, match="was carried out and is not so: ill"):
            runner.run(plan(world.step(lambda: None)))


def test_a_stale_look_does_not_deny_a_step(world: World, runner: Runner) -> None:
    """What an action has done beside the door is seen by the proof that follows it."""
    world.becomes("ill")
    with look.shared():
        assert world.seen() == "ill"
        runner.run(plan(world.step(lambda: world.becomes("well"))))
    assert [one.event for one in runner.journal.entries()] == ["begin", "intent", "done", "end"]


def test_a_proof_never_joins_a_look(world: World) -> None:
    """Whoever asks for a proof gets what is there now, and leaves the look around it alone."""
    with look.shared():
        world.seen()
        world.becomes("ill")
        assert proof(world.step(lambda: None)).seen == "ill"
        assert world.seen() == "well"


COMPOSE = Compose(Path("/srv"), (Path("/srv/config"),), ("config", "up"))


@pytest.mark.parametrize(
    ("argv", "asks"),
    [
        (commands.containers("label=a"), True),
        (commands.container_images(), True),
        (commands.labelled("a"), True),
        (commands.plugins(), True),
        (commands.inspect("container", ["a"]), True),
        (commands.inspect("image", ["a"]), True),
        (commands.logs("a", tail=5), True),
        (COMPOSE.config(), True),
        (COMPOSE.config_unresolved(), True),
        (COMPOSE.config_hashes(), True),
        (COMPOSE.up(["config"], wait_seconds=5), False),
        (COMPOSE.run_beside("config", name="ps", labels={}, aliases=False), False),
        (commands.execute("a", ["true"]), False),
        (commands.stop(["ps"], seconds=5), False),
        (commands.remove(["logs"]), False),
        (commands.tag("a", "b"), False),
        (commands.untag("a"), False),
        (commands.commit("a", "b", "c"), False),
        (commands.restart_always(["a"]), False),
        (["docker", "pull", "--quiet", "a"], False),
        (["docker"], False),
        (["docker", "compose"], False),
        (["git", "ps"], False),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else str(one),
)
def test_which_commands_are_questions(argv: list[str], asks: bool) -> None:  # noqa: FBT001 -- a row of the table
    """Only what docker itself says to change nothing; a name or a profile that looks like one is none."""
    assert questions.asks(argv) is asks


def compose_of(world: World, told: str) -> str:
    """What a question to Compose becomes where docker says this of its plugins."""
    program = world.docker.with_name("docker-compose")
    program.write_text('#!/bin/sh\necho "by itself: $*"\n', encoding="utf-8")
    program.chmod(0o755)
    script = f"""#!/bin/sh
        case "$1" in info) echo '{told.format(program)}' ;; *) echo "by docker: $*" ;; esac"""
    world.docker.write_text(script, encoding="utf-8")
    return world.engine.ask(["docker", "compose", "config"]).strip()


def test_compose_is_started_without_docker_in_front(world: World) -> None:
    """It is the program that docker says it would start."""
    told = '[{{"Name": "buildx", "Path": "/x"}}, {{"Name": "compose", "Path": "{}"}}]'
    assert compose_of(world, told) == "by itself: config"


@pytest.mark.parametrize(
    "told",
    ["", "null", "[]", "what?", '[{{"Name": "compose", "Path": "/nowhere"}}]', '[{{"Name": "compose"}}]',
     '[{{"Name": "compose", "Path": "{}", "Err": "too old"}}]'],
)  # fmt: skip
def test_without_its_place_docker_finds_it(world: World, told: str) -> None:
    """Nothing depends on docker telling where its plugins are."""
    assert compose_of(world, told) == "by docker: compose config"
