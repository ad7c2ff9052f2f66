"""A system of switches that a plan turns on and off, and a screen that remembers what it showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from rollback.journal import Journal
from rollback.outcome import Failed
from rollback.plan import Plan, Reading, Step
from rollback.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Screen:
    """A view that remembers what was shown."""

    shown: list[tuple[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def started(self, step: Step) -> None:
        """A step begins."""
        self.shown.append(("started", step.name))

    def working(self, text: str) -> None:
        """How far the step is."""

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended."""
        assert seconds >= 0
        self.shown.append((event, step.name))
        self.texts.append(seen)


@dataclass
class World:
    """A system of switches, the runner that turns them, and what happened in which order."""

    folder: Path
    on: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    screen: Screen = field(default_factory=Screen)

    @property
    def journal(self) -> Journal:
        """A real journal."""
        return Journal(self.folder / "journal.jsonl")

    @property
    def runner(self) -> Runner:
        """A new runner, as a new process has it."""
        return Runner(self.journal, self.screen, lambda text: text.replace("hunter2", "[secret]"))

    def step(self, name: str, **more: Any) -> Step:
        """A step that turns a switch on; `act` and `undo` may be replaced."""
        parts: dict[str, Any] = {"read": self.reading(name), "act": self.turning(name), "undo": self.turning_off(name)}
        return Step(name, f"because of {name}", **{**parts, **more})

    def reading(self, name: str) -> Callable[[], Reading]:
        """Reads a switch."""
        return lambda: Reading(name in self.on, f"{name} is {'on' if name in self.on else 'off'}")

    def turning(self, name: str) -> Callable[[], None]:
        """Turns a switch on, and notes what the journal said last when it did."""

        def act() -> None:
            self.calls.append(f"act {name} after {self.events()[-1]}")
            self.on.add(name)

        return act

    def turning_off(self, name: str) -> Callable[[], None]:
        """Turns a switch off."""

        def undo() -> None:
            self.calls.append(f"undo {name}")
            self.on.discard(name)

        return undo

    def events(self, run: str = "r1") -> list[str]:
        """What the journal says of the run."""
        return [f"{one.event} {one.data['step']}" if "step" in one.data else one.event for one in self.journal.of(run)]

    def fail(self, plan: Plan, how: Callable[[Plan], None] | None = None) -> Failed:
        """Run a plan that has to fail."""
        with pytest.raises(Failed) as caught:
            (how or self.runner.run)(plan)
        return caught.value
