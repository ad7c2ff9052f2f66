"""The operator dies at every single point of a run: going on or taking back always ends the same way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from rollback.journal import Entry, Journal
from rollback.outcome import Exit, Failed
from rollback.plan import Plan, Reading, Step
from rollback.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = {"images": "new", "beside": "none", "users": "new", "pin": "new", "compose": "new"}
TARGET = dict.fromkeys(START, "old") | {"beside": "gone"}


class Killed(BaseException):
    """The process is gone: nothing after this point happens, no handler runs."""


@dataclass
class Fate:
    """Counts the points at which a process can die, and kills it at one of them."""

    at: int | None = None
    passed: int = 0

    def point(self) -> bool:
        """One more point; true when this is the one."""
        self.passed += 1
        return self.passed - 1 == self.at

    def __call__(self) -> None:
        """Die here, if it is here."""
        if self.point():
            raise Killed


@dataclass(frozen=True)
class Disk(Journal):
    """A real journal, whose writer may die before, within and after each write."""

    fate: Fate = field(default_factory=Fate)

    def append(self, run: str, event: str, **data: Any) -> Entry:
        """Write an entry, or half of one, or none."""
        self.fate()
        entry = super().append(run, event, **data)
        if self.fate.point():
            self.path.write_bytes(self.path.read_bytes()[:-9])
            raise Killed
        self.fate()
        return entry


class Silent:
    """A view that shows nothing."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def working(self, text: str) -> None:
        """How far the step is."""

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended."""


@dataclass
class System:
    """What is rolled back: it outlives every operator."""

    folder: Path
    state: dict[str, str] = field(default_factory=lambda: dict(START))
    broken: str = ""

    def journal(self, fate: Fate) -> Disk:
        """The journal as a process with this fate sees it."""
        return Disk(self.folder / "journal.jsonl", fate)

    def runner(self, fate: Fate) -> Runner:
        """A new process."""
        return Runner(self.journal(fate), Silent(), str)

    def plan(self, fate: Fate) -> Plan:
        """Five steps in the manner of the application procedure: the stand-in comes and goes."""
        steps = (
            self.step(fate, "images", "old", gate=True),
            self.step(fate, "beside", "runs", fine=("runs", "gone"), gate=True),
            self.step(fate, "users", "old", moves_users=True),
            self.step(fate, "pin", "old"),
            self.step(fate, "compose", "old"),
            self.step(fate, "gone", "gone", key="beside", back="gone"),
        )
        return Plan("application", {}, "r1", "from new to old", steps)

    def step(  # noqa: PLR0913 -- one line a step in the plan above
        self,
        fate: Fate,
        name: str,
        value: str,
        *,
        key: str = "",
        fine: tuple[str, ...] = (),
        back: str = "",
        **more: Any,
    ) -> Step:
        """A step that goes through a half-way state and may be killed before, in and after every part of it."""
        where = key or name

        def read() -> Reading:
            fate()
            return Reading(self.state[where] in (fine or (value,)), self.state[where])

        def moving(to: str) -> Callable[[], None]:
            def act() -> None:
                fate()
                self.state[where] = "half"
                fate()
                if self.broken == name and to == value:
                    raise Failed(f"{name} is broken.")
                self.state[where] = to
                fate()

            return act

        return Step(name, "", read, moving(value), moving(back or START[where]), **more)

    def open_run(self) -> str | None:
        """The interrupted run, as the next process finds it."""
        return self.journal(Fate()).unfinished()

    def outcome(self) -> str:
        """How the journal says that the run ended; the whole chain is sound."""
        last = self.journal(Fate()).entries()[-1]
        return f"{last.event} {last.data.get('outcome')}"


def dies(system: System, at: int, what: str = "run") -> bool:
    """Start a process that dies at this point; false when it came to its end before."""
    fate = Fate(at)
    try:
        getattr(system.runner(fate), what)(system.plan(fate))
    except Killed:
        return True
    except Failed:
        assert system.broken
    return False


def again(system: System, what: str) -> None:
    """A new process that lives; a run whose begin never reached the disk is simply started."""
    fate = Fate()
    if system.open_run() is not None:
        getattr(system.runner(fate), what)(system.plan(fate))
    elif not system.journal(fate).entries() and what == "resume":
        system.runner(fate).run(system.plan(fate))


def sweep(folder: Path, how: Callable[[System, int], bool]) -> int:
    """Kill at every point there is, each in a new system; the number of points."""
    at = 0
    while True:
        place = folder / str(at)
        place.mkdir()
        if not how(System(place), at):
            return at
        at += 1


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These deaths are the process's, not the machine's: what was written is there."""
    monkeypatch.setattr("rollback.journal.os.fsync", lambda _: None)


def test_resume_after_a_kill_at_any_point_reaches_the_target(tmp_path: Path) -> None:
    """Killed anywhere and resumed, the system is the target, the run is done and the chain is whole."""

    def how(system: System, at: int) -> bool:
        killed = dies(system, at)
        again(system, "resume")
        assert (system.state, system.outcome(), system.open_run()) == (TARGET, "end done", None), at
        return killed

    assert sweep(tmp_path, how) > 60


def test_abort_after_a_kill_at_any_point_reaches_the_start(tmp_path: Path) -> None:
    """Killed anywhere and aborted, the system is as it was before, unless the run was done already."""

    def how(system: System, at: int) -> bool:
        killed = dies(system, at)
        interrupted = system.open_run() is not None
        again(system, "abort")
        if interrupted:
            assert (system.state | {"beside": ""}, system.outcome()) == (START | {"beside": ""}, "end aborted"), at
            assert system.state["beside"] in ("none", "gone"), at
        else:
            assert system.state in (START, TARGET), at
        assert system.open_run() is None
        return killed

    assert sweep(tmp_path, how) > 60


@pytest.mark.parametrize("way", ["abort", "resume"])
def test_a_kill_while_taking_back_can_be_answered_either_way(tmp_path: Path, way: str) -> None:
    """An abort that is killed itself can be aborted again, or the operator changes his mind and goes on."""

    def how(system: System, at: int) -> bool:
        assert dies(system, 45)
        killed = dies(system, at, "abort")
        interrupted = system.open_run() is not None
        again(system, way)
        wanted = TARGET if way == "resume" and interrupted else START
        assert (system.state, system.open_run()) == (wanted, None), at
        return killed

    assert sweep(tmp_path, how) > 15


def test_two_kills_in_a_row_change_nothing(tmp_path: Path) -> None:
    """A resume that is killed is resumed like the run itself."""

    def how(system: System, at: int) -> bool:
        assert dies(system, 30)
        killed = dies(system, at, "resume")
        again(system, "resume")
        assert (system.state, system.outcome()) == (TARGET, "end done"), at
        return killed

    assert sweep(tmp_path, how) > 40


@pytest.mark.parametrize("broken", ["images", "beside"])
def test_a_kill_while_a_refused_target_is_taken_back_ends_as_it_began(tmp_path: Path, broken: str) -> None:
    """A gate that says no, killed at any point of its own undoing: abort, or resume and be refused again."""

    def how(system: System, at: int) -> bool:
        system.broken = broken
        killed = dies(system, at)
        if system.open_run() is not None:
            if at % 2:
                again(system, "abort")
            else:
                with pytest.raises(Failed) as caught:
                    again(system, "resume")
                assert caught.value.exit is Exit.REFUSED
        assert (system.state, system.open_run()) == (START, None), at
        return killed

    assert sweep(tmp_path, how) > 15


def test_a_step_that_breaks_after_users_moved_waits_whatever_kills_it(tmp_path: Path) -> None:
    """Once users are moved no kill and no failure takes anything back: only abort does."""

    def how(system: System, at: int) -> bool:
        system.broken = "pin"
        killed = dies(system, at)
        moved = system.state["users"] == "old"
        if moved:
            assert system.open_run() == "r1", at
            with pytest.raises(Failed) as caught:
                again(system, "resume")
            assert (caught.value.exit, system.state["users"]) == (Exit.NOT_PUT_BACK, "old"), at
        again(system, "abort")
        assert (system.state, system.open_run()) == (START, None), at
        return killed

    assert sweep(tmp_path, how) > 40
