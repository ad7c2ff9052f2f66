"""Running a plan: proof before done, and a defined end whatever breaks."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from drills.unit.switches import World
from rollback.journal import Entry, Journal
from rollback.outcome import Exit, Failed, Refused
from rollback.plan import Plan, Reading, Step
from rollback.runner import Runner
from rollback.secrets import Redactor
from rollback.typed import Typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with all switches off."""
    return World(tmp_path)


def plan(*steps: Step) -> Plan:
    """A plan of these steps."""
    return Plan("application", {"version": "v1"}, "r1", "from v2 to v1", steps)


def raising(error: BaseException) -> Callable[[], None]:
    """An action that breaks."""

    def act() -> None:
        raise error

    return act


def test_each_step_is_intended_before_it_is_done(world: World) -> None:
    """The intent is on the disk before the action; done is written only after it was read; the view sees it all."""
    world.runner.run(plan(world.step("a"), world.step("b")))
    assert world.calls == ["act a after intent a", "act b after intent b"]
    assert world.events() == ["begin", "intent a", "done a", "intent b", "done b", "end"]
    assert world.screen.shown == [("started", "a"), ("done", "a"), ("started", "b"), ("done", "b")]
    begin, *_, end = world.journal.entries()
    facts = {"procedure": "application", "arguments": {"version": "v1"}, "summary": "from v2 to v1"}
    assert begin.data == {**facts, "notes": [], "steps": ["a", "b"], "moves": [], "final": []}
    assert (end.data, world.journal.unfinished()) == ({"outcome": "done"}, None)


def test_what_holds_already_is_skipped(world: World) -> None:
    """A step whose postcondition holds is not carried out, and not intended either."""
    world.on.add("a")
    world.runner.run(plan(world.step("a"), world.step("b")))
    assert world.calls == ["act b after intent b"]
    assert world.events() == ["begin", "skipped a", "intent b", "done b", "end"]


def test_a_step_whose_action_lied_is_caught(world: World) -> None:
    """An action that returns and has done nothing is found by its own postcondition."""
    failed = world.fail(plan(world.step("a"), world.step("b", act=lambda: None)))
    assert "`b` was carried out and is not so: b is off." in failed.found
    assert "done b" not in world.events()
    assert (failed.exit, world.on) == (Exit.PUT_BACK, set())


def test_what_cannot_be_read_does_not_hold(world: World) -> None:
    """A system that does not answer is no proof: the step is carried out, and fails if it still cannot be read."""

    def read() -> Reading:
        raise Failed("no answer.")

    failed = world.fail(plan(world.step("a", read=read)))
    assert world.calls == ["act a after intent a", "undo a"]
    assert "no answer." in failed.found


ERRORS: dict[str, tuple[BaseException, str]] = {
    "failed": (Failed("it broke.", "mend it"), "b: it broke."),
    "refused": (Refused("not allowed.", "ask"), "b: not allowed."),
    "unexpected": (ZeroDivisionError("by zero"), "b: ZeroDivisionError: by zero."),
    "interrupted": (KeyboardInterrupt(), "b: interrupted by the operator."),
}


@pytest.mark.parametrize("gate", [False, True], ids=["step", "gate"])
@pytest.mark.parametrize(("error", "sentence"), ERRORS.values(), ids=ERRORS)
def test_whatever_breaks_before_users_are_moved_is_taken_back(
    world: World, error: BaseException, sentence: str, *, gate: bool
) -> None:
    """All is as before, newest step first; a gate that said no is a refusal, a defect or Ctrl-C in it is not."""
    world.on.add("x")
    steps = [world.step(name) for name in "xa"] + [world.step("b", act=raising(error), gate=gate), world.step("c")]
    failed = world.fail(plan(*steps))
    refused = gate and isinstance(error, Failed | Refused)
    assert failed.exit is (Exit.REFUSED if refused else Exit.PUT_BACK)
    assert failed.found == sentence
    assert failed.next_step
    assert [one for one in world.calls if one.startswith("undo")] == ["undo b", "undo a"]
    assert world.on == {"x"}
    assert world.events()[-5:] == ["intent b", "failed b", "undone b", "undone a", "end"]
    assert world.journal.entries()[-1].data["outcome"] == ("refused" if refused else "put back")
    assert world.journal.unfinished() is None


def test_a_step_without_an_undo_is_passed_over(world: World) -> None:
    """Where there is nothing to take back, the steps before it are still taken back."""
    world.fail(
        plan(world.step("a"), world.step("b", undo=None), world.step("c", act=raising(Failed("no.")), undo=None))
    )
    assert world.calls[-1] == "undo a"
    assert world.events()[-2:] == ["undone a", "end"]


def moved(world: World, broken: dict[str, BaseException]) -> Plan:
    """A plan whose second step moves the users and whose third fails while `broken` says so."""

    def act() -> None:
        if "c" in broken:
            raise broken["c"]
        world.turning("c")()

    return plan(world.step("a"), world.step("b", moves_users=True), world.step("c", act=act), world.step("d"))


@pytest.mark.parametrize(("error", "sentence"), ERRORS.values(), ids=ERRORS)
def test_after_users_were_moved_nothing_is_taken_back_by_itself(
    world: World, error: BaseException, sentence: str
) -> None:
    """The run stays open with exit 40 and the operator chooses; resume then finishes what is left, and only that."""
    broken = {"c": error}
    failed = world.fail(moved(world, broken))
    assert (failed.exit, world.on) == (Exit.NOT_PUT_BACK, {"a", "b"})
    assert sentence.replace("b:", "c:") in failed.found
    assert "resume" in failed.next_step
    assert "abort" in failed.next_step
    assert world.journal.unfinished() == "r1"
    broken.clear()
    world.calls.clear()
    world.runner.resume(moved(world, broken))
    assert world.calls == ["act c after intent c", "act d after intent d"]
    after = world.events()[world.events().index("resume") + 1 :]
    assert after == ["skipped a", "skipped b", "intent c", "done c", "intent d", "done d", "end"]
    assert world.journal.unfinished() is None


def test_resume_that_fails_again_stays_open(world: World) -> None:
    """A resume after users were moved is no licence to take back either."""
    broken: dict[str, BaseException] = {"c": Failed("no.")}
    world.fail(moved(world, broken))
    assert world.fail(moved(world, broken), world.runner.resume).exit is Exit.NOT_PUT_BACK
    assert (world.on, world.journal.unfinished()) == ({"a", "b"}, "r1")


def test_abort_takes_back_what_was_begun_and_nothing_else(world: World) -> None:
    """The step that failed half-way is taken back too; a step that was never begun is left alone."""
    world.on.add("d")
    broken: dict[str, BaseException] = {"c": Failed("no.")}
    world.fail(moved(world, broken))
    world.runner.abort(moved(world, broken))
    assert [one for one in world.calls if one.startswith("undo")] == ["undo c", "undo b", "undo a"]
    assert world.on == {"d"}
    assert world.journal.entries()[-1].data["outcome"] == "aborted"
    assert world.journal.unfinished() is None


def test_the_step_that_moves_users_counts_from_its_intent(world: World) -> None:
    """A switch that failed half-way may have moved users: it is left for the operator to decide."""
    failed = world.fail(plan(world.step("a"), world.step("b", moves_users=True, act=raising(Failed("half.")))))
    assert (failed.exit, world.on, world.journal.unfinished()) == (Exit.NOT_PUT_BACK, {"a"}, "r1")


@pytest.mark.parametrize(
    "error", [Failed("stuck."), OSError("disk"), KeyboardInterrupt()], ids=["failed", "error", "^C"]
)
def test_an_undo_that_fails_leaves_the_run_open(world: World, error: BaseException) -> None:
    """What was not put back is said: exit 40, the journal names the step, and abort may be tried again."""
    stuck = [error]

    def undo() -> None:
        if stuck:
            raise stuck.pop()
        world.on.discard("b")

    steps = plan(world.step("a"), world.step("b", undo=undo), world.step("c", act=raising(Failed("no."))))
    failed = world.fail(steps)
    assert failed.exit is Exit.NOT_PUT_BACK
    assert "`b` could not be taken back" in failed.found
    assert "abort" in failed.next_step
    assert world.events()[-3:] == ["failed c", "undone c", "failed b"]
    assert (world.on, world.journal.unfinished()) == ({"a", "b"}, "r1")
    world.runner.abort(steps)
    assert (world.on, world.journal.unfinished()) == (set(), None)


def test_an_advisory_step_that_fails_holds_nothing_up(world: World) -> None:
    """What the procedure is whole without is told and journalled, and the rest is done."""
    steps = [world.step("a"), world.step("b", act=raising(Failed("no room.", "make some")), advisory=True)]
    world.runner.run(plan(*steps, world.step("c")))
    assert world.on == {"a", "c"}
    assert world.events() == ["begin", "intent a", "done a", "intent b", "missed b", "intent c", "done c", "end"]
    missed = next(one for one in world.journal.entries() if one.event == "missed")
    assert missed.data["seen"] == "no room. Next: make some"
    assert ("missed", "b") in world.screen.shown


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), KeyboardInterrupt()], ids=["defect", "^C"])
def test_an_advisory_step_excuses_orderly_failures_only(world: World, error: BaseException) -> None:
    """A defect of the tool and the operator's Ctrl-C are what they are in any other step."""
    failed = world.fail(plan(world.step("a"), world.step("b", act=raising(error), advisory=True)))
    assert (failed.exit, world.on) == (Exit.PUT_BACK, set())


@dataclass(frozen=True)
class FullDisk(Journal):
    """A real journal that takes a number of entries, and then nothing more."""

    room: int = 0

    def append(self, run: str, event: str, **data: Any) -> Entry:
        """Write an entry, or say that the disk is full as the real one does."""
        if len(self.entries()) >= self.room:
            raise Failed("the journal cannot be written: No space left on device.", "make room on its disk")
        return super().append(run, event, **data)


@pytest.mark.parametrize("room", range(1, 8))
def test_a_journal_that_is_full_does_not_stop_the_putting_back(world: World, room: int) -> None:
    """Whenever the disk fills up, all is put back; the run stays open until abort can write that it is closed."""
    steps = plan(world.step("a"), world.step("b"), world.step("c", act=raising(Failed("it broke."))))
    full = Runner(FullDisk(world.journal.path, room), world.screen, str)
    failed = world.fail(steps, full.run)
    assert (failed.exit, world.on) == (Exit.NOT_PUT_BACK, set())
    assert "No space left on device" in failed.found
    assert world.journal.unfinished() == "r1"
    world.runner.abort(steps)
    assert (world.on, world.journal.unfinished()) == (set(), None)


def test_a_journal_that_takes_nothing_is_a_refusal(world: World) -> None:
    """Nothing is begun that could not be written down."""
    full = Runner(FullDisk(world.journal.path, 0), world.screen, str)
    with pytest.raises(Refused, match="No space left on device"):
        full.run(plan(world.step("a")))
    assert world.calls == []


def test_no_secret_reaches_the_journal_or_the_screen(world: World) -> None:
    """Whatever a step sees, fails with or cannot take back goes through the redactor."""

    def seen() -> Reading:
        return Reading("a" in world.on, "password hunter2")

    steps = [world.step("a", read=seen, undo=raising(Failed("hunter2 is stuck"))), world.step("b", read=seen)]
    steps += [world.step("c", act=raising(ValueError("hunter2 is wrong")))]
    failed = world.fail(plan(*steps))
    text = world.journal.path.read_text() + "".join(world.screen.texts) + str(failed)
    assert "hunter2" not in text
    assert text.count("[secret]") >= 4


def test_what_people_typed_is_masked_thoroughly_and_what_was_found_is_left(world: World) -> None:
    """Command, summary and their own words hold secrets that nobody here knows; the SQL of a migration holds none."""
    words = {"where": "password = 'unknown9unknown9'", "sql": "ALTER ROLE app PASSWORD 'as found'"}
    planned = Plan("rows", words, "r1", "token: abcdefgh", (world.step("a"),), typed=("where",))
    pasted = ("--error", "Authorization: Bearer eyJhbGciOi.eyJzdWIiOiJ.x", "token:", "unknown9-apart")
    one = Typed(shlex.join(["rollback", "rows", "--where", words["where"], *pasted]), 0.0)
    runner = Runner(world.journal, world.screen, Redactor(()), one, Redactor(()).thorough)
    runner.run(planned)
    runner.resume(planned)
    begin, *_, resume = (entry.data for entry in world.journal.entries() if entry.event in ("begin", "resume"))
    text = world.journal.path.read_text(encoding="utf-8")
    assert not [secret for secret in ("unknown9", "eyJ", "abcdefgh") if secret in text]
    assert begin["arguments"] == {"where": "password = '[secret: value]'", "sql": words["sql"]}
    assert begin["masked"] == ["where"]
    assert (begin["command"], begin["summary"]) == (resume["command"], "token: [secret: value]")
    assert shlex.split(begin["command"])[3] == "password = '[secret: value]'"


def test_names_of_steps_are_unique() -> None:
    """The journal finds a step by its name, so a plan with the same name twice is no plan."""
    step = Step("a", "", lambda: Reading(holds=True, seen=""), lambda: None)
    with pytest.raises(ValueError, match="step names repeat"):
        plan(step, step)
