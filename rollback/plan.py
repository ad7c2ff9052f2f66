"""Step and Plan: what a procedure will do, as data that can be printed before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Plan", "Reading", "Step"]


@dataclass(frozen=True)
class Reading:
    """A postcondition as read from the system: does it hold, and what was seen.

    Attributes:
        figures: what was measured, by name, for the documents: `rows_lost` above all.
    """

    holds: bool
    seen: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing to make true.

    Attributes:
        name: the state that is reached, in the operator's words; unique in a plan.
        cause: why the plan holds this step.
        read: reads the postcondition from the live system; changes nothing; may be called at any time.
        act: makes the postcondition true; may be repeated after a kill at any point within it.
        undo: takes the step back; may be repeated; None where there is nothing to take back.
        gate: a failure of this step means that the target was refused; nothing has changed once it is undone.
        moves_users: from this step on users are served by the target, so a failure after it is not taken
            back by itself: the plan stops and the operator chooses between resume and abort.
        final: there is no way back behind it: a failure from this step on leaves the run open, as if users were moved.
        advisory: the procedure is whole without it; a failure is told, journalled, and holds nothing up.
    """

    name: str
    cause: str
    read: Callable[[], Reading]
    act: Callable[[], None]
    undo: Callable[[], None] | None = None
    gate: bool = False
    moves_users: bool = False
    advisory: bool = False
    final: bool = False


@dataclass(frozen=True)
class Plan:
    """An ordered list of steps towards one target.

    Attributes:
        procedure: name of the procedure, as in the command.
        arguments: what the procedure was asked for; enough to make the same plan again after a kill.
        run: the run's id; names of containers and files of the run derive from it.
        summary: one line: from where to where.
        notes: what the operator has to know beforehand.
        statements: SQL that will be carried out, for the plan to show; empty where it is not made beforehand.
        typed: the arguments that hold people's own words: the journal has them masked, the run's folder as they are.
        tells: the stages of the run that people are told of by themselves.
    """

    procedure: str
    arguments: dict[str, str]
    run: str
    summary: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = field(default=())
    statements: tuple[str, ...] = field(default=())
    typed: tuple[str, ...] = field(default=())
    tells: tuple[str, ...] = ("start", "progress", "end")

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"step names repeat in the plan of {self.procedure}: {names}")
