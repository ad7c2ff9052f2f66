"""Runs a plan: lock, journal, each step proven by its own postcondition; resumes and takes back after a kill."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rollback import lock, look, progress
from rollback.outcome import Exit, Failed, Refused, Stop
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.journal import Journal
    from rollback.plan import Plan, Step
    from rollback.typed import Typed

__all__ = ["CHOICE", "Runner", "View", "proof", "reading"]

CHOICE = "`rollback resume` goes on, `rollback abort` takes it back; users stay served as they are now"


class View(Protocol):
    """Shows progress to the operator; one for a terminal, one that says nothing."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def working(self, text: str) -> None:
        """How far the step is."""

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended: "done", "skipped", "failed", "undone", or "missed" (an advisory step that failed)."""


def reading(step: Step) -> Reading:
    """A step's postcondition; a system that cannot be read does not fulfil it."""
    try:
        with look.shared():
            return step.read()
    except Stop as stop:
        return Reading(holds=False, seen=stop.found)


def proof(step: Step) -> Reading:
    """A step's postcondition, with a look that was opened after the step was carried out.

    Raises:
        Stop: the system cannot be read.
    """
    with look.anew():
        return step.read()


@dataclass(frozen=True)
class Runner:
    """Executes plans of one deployment. The caller holds the lock.

    Attributes:
        redact: applied to every sentence that goes into the journal.
        typed: what the operator typed, for the documents; None where nobody typed anything.
        thorough: applied to what people typed, in which may stand secrets that nobody here knows; None: `redact`.
    """

    journal: Journal
    view: View
    redact: Callable[[str], str]
    typed: Typed | None = None
    thorough: Callable[[str], str] | None = None
    _unwritten: list[str] = field(default_factory=list, init=False, repr=False)

    def _by(self) -> dict[str, str | float]:
        """Who typed what, and how long ago, for the documents."""
        if self.typed is None:
            return {}
        ago = round(time.monotonic() - self.typed.at, 3)
        # each word as it was typed, since quotes hide a value, and then the line: a value may be a word of its own
        words = [self._masked(one) for one in shlex.split(self.typed.command)]
        who, command = lock.who(), self._masked(shlex.join(words))
        return {"who": who, "command": command, "typed_s_ago": ago, "boot": lock.boot()}

    def _masked(self, text: str) -> str:
        return (self.thorough or self.redact)(text)

    def _arguments(self, plan: Plan) -> dict[str, Any]:
        """For the journal: people's own words without secrets, all others as they are.

        A resume makes the same plan from them, and what a survey has found may look like a secret and is none: the SQL
        of a migration, a digest. Which ones were changed is `masked`.
        """
        safe = {key: self._masked(plan.arguments[key]) for key in plan.typed}
        masked = [key for key, text in safe.items() if text != plan.arguments[key]]
        return {"arguments": {**plan.arguments, **safe}, **({"masked": masked} if masked else {})}

    def run(self, plan: Plan) -> None:
        """Carry out a new plan to its end.

        Raises:
            Failed: exit PUT_BACK or REFUSED when a step failed before users were moved and all was taken
                back; NOT_PUT_BACK when one failed later: the run stays open for resume or abort.
            Refused: the journal cannot be written; nothing was begun.
        """
        facts = {"procedure": plan.procedure, "summary": self._masked(plan.summary), **self._arguments(plan)}
        told = {
            "notes": [self.redact(one) for one in plan.notes],
            "steps": [step.name for step in plan.steps],
            "moves": [step.name for step in plan.steps if step.moves_users],
            "final": [step.name for step in plan.steps if step.final],
        }
        try:
            self.journal.append(plan.run, "begin", **facts, **told, **self._by())
        except Failed as stop:
            raise Refused(stop.found, stop.next_step) from stop
        self._forward(plan)

    def resume(self, plan: Plan) -> None:
        """Go on with a plan that was interrupted; steps whose postcondition holds are not repeated."""
        self.journal.append(plan.run, "resume", **self._by())
        self._forward(plan)

    def abort(self, plan: Plan) -> None:
        """Take back, newest first, every step that was begun.

        Raises:
            Failed: exit NOT_PUT_BACK when a step cannot be taken back; the run stays open.
        """
        self.journal.append(plan.run, "abort", **self._by())
        self._back(plan)
        self.journal.append(plan.run, "end", outcome="aborted")

    def _forward(self, plan: Plan) -> None:
        for step in plan.steps:
            started = time.monotonic()
            try:
                self._step(plan.run, step)
            except (Exception, KeyboardInterrupt) as cause:  # noqa: BLE001 -- whatever broke, users come first
                if not (step.advisory and isinstance(cause, Stop)):
                    self._failed(plan, step, cause)
                self._note(plan.run, step, "missed", started, Reading(holds=False, seen=str(cause)))
        self.journal.append(plan.run, "end", outcome="done")

    def _step(self, run: str, step: Step) -> None:
        self.view.started(step)
        started = time.monotonic()
        with look.anew():
            now = reading(step)
        if now.holds:
            self._note(run, step, "skipped", started, now)
            return
        self.journal.append(run, "intent", step=step.name)
        with progress.shown_to(self.view.working):
            step.act()
        now = proof(step)
        if not now.holds:
            raise Failed(f"`{step.name}` was carried out and is not so: {now.seen}.")
        self._note(run, step, "done", started, now)

    def _note(self, run: str, step: Step, event: str, started: float, now: Reading) -> None:
        seconds, seen = round(time.monotonic() - started, 3), self.redact(now.seen)
        figures = {"figures": dict(now.figures)} if now.figures else {}
        self.journal.append(run, event, step=step.name, seconds=seconds, seen=seen, **figures)
        self.view.ended(step, event, seconds, seen)

    def _failed(self, plan: Plan, step: Step, cause: BaseException) -> None:
        found, next_step = _told(cause)
        found = self.redact(found)
        self._remember(plan.run, "failed", step=step.name, reason=found)
        self.view.ended(step, "failed", 0.0, found)
        if self._users_moved(plan):
            raise Failed(f"{step.name}: {found}", CHOICE, exit_code=Exit.NOT_PUT_BACK) from cause
        self._back(plan)
        refused = step.gate and isinstance(cause, Stop)
        self._remember(plan.run, "end", outcome="refused" if refused else "put back")
        if self._unwritten:
            raise Failed(
                f"{step.name}: {found} All was put back; the journal does not know it: {self._unwritten[0]}",
                "make room for the journal, then `rollback abort` closes the run",
                exit_code=Exit.NOT_PUT_BACK,
            ) from cause
        raise Failed(
            f"{step.name}: {found}",
            next_step or "mend what was found; all is as it was before",
            exit_code=Exit.REFUSED if refused else Exit.PUT_BACK,
        ) from cause

    def _remember(self, run: str, event: str, **data: Any) -> None:
        """Journal what was done to put things back; a journal that takes nothing more does not stop the doing."""
        try:
            self.journal.append(run, event, **data)
        except Failed as stop:
            self._unwritten.append(stop.found)

    def begun(self, plan: Plan) -> list[Step]:
        """The steps that the journal says were begun, oldest first."""
        names = {one.data["step"] for one in self.journal.of(plan.run) if one.event == "intent"}
        return [step for step in plan.steps if step.name in names]

    def _users_moved(self, plan: Plan) -> bool:
        return any(step.moves_users or step.final for step in self.begun(plan))

    def _back(self, plan: Plan) -> None:
        for step in reversed(self.begun(plan)):
            if step.undo is None:
                continue
            self.view.started(step)
            started = time.monotonic()
            try:
                step.undo()
            except (Exception, KeyboardInterrupt) as cause:
                found = self.redact(_told(cause)[0])
                self._remember(plan.run, "failed", step=step.name, reason=f"not taken back: {found}")
                told = f"`{step.name}` could not be taken back: {found}"
                raise Failed(told, "`rollback abort` again", exit_code=Exit.NOT_PUT_BACK) from cause
            seconds = round(time.monotonic() - started, 3)
            self._remember(plan.run, "undone", step=step.name, seconds=seconds, seen="taken back")
            self.view.ended(step, "undone", seconds, "taken back")


def _told(cause: BaseException) -> tuple[str, str]:
    if isinstance(cause, Stop):
        return cause.found, cause.next_step
    if isinstance(cause, KeyboardInterrupt):
        return "interrupted by the operator.", ""
    return f"{type(cause).__name__}: {cause}.", "this is a defect of the tool: keep the journal and report it"
