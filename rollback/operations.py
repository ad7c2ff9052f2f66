"""What every mutating command does around its plan: lock, interrupted runs, confirmation, run, outcome."""

from __future__ import annotations

import json
import secrets as random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from rollback import lock, look, typed
from rollback.containment.standing import refuse_others
from rollback.documents.notification import END, PROGRESS, START
from rollback.documents.telling import Telling
from rollback.journal import Journal
from rollback.outcome import Exit, Failed, NothingToDo, Refused
from rollback.parts import files
from rollback.parts.edge import Edge
from rollback.runner import CHOICE, Runner
from rollback.secrets import of_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rollback.deployment import Deployment
    from rollback.documents.telling import Screen
    from rollback.plan import Plan
    from rollback.runner import View
    from rollback.secrets import Redactor

__all__ = ["Operations", "new_run"]


class Procedure(Protocol):
    """How a procedure is found again from the journal."""

    def __call__(self, deployment: Deployment, facts: dict[str, Any]) -> Plan:
        """The plan from what was surveyed."""


@dataclass(frozen=True)
class _Made:
    """A procedure that is imported when its plan is made: one run needs one, and their libraries take seconds."""

    module: str
    function: str = "plan"

    def __call__(self, deployment: Deployment, facts: dict[str, Any]) -> Plan:
        procedure: Procedure = getattr(import_module(f"rollback.procedures.{self.module}"), self.function)
        return procedure(deployment, facts)


#: Every procedure that a journal may name.
PROCEDURES: dict[str, Procedure] = {
    "application": _Made("application"),
    "compose": _Made("compose"),
    "configuration": _Made("configuration"),
    "contain": _Made("containment"),
    "database": _Made("restoration"),
    "environment": _Made("environment"),
    "migration": _Made("migration"),
    "migration forward": _Made("migration", "plan_forward"),
    "monitoring": _Made("monitoring"),
    "preflight": _Made("preflight"),
    "recover": _Made("recovery"),
    "rows": _Made("rows"),
    "rows undo": _Made("rows_undone"),
    "schema": _Made("schema"),
    "switch": _Made("switch"),
}


#: In the folder of a run: what was typed and is masked in the journal.
_TYPED = "typed.json"


@dataclass(frozen=True)
class Operations:
    """The mutating commands of one deployment."""

    deployment: Deployment
    view: Screen

    @property
    def journal(self) -> Journal:
        """The deployment's journal."""
        return Journal(self.deployment.state / "journal.jsonl")

    @property
    def lock_file(self) -> Path:
        """The deployment's lock."""
        return self.deployment.state / "lock"

    def redactor(self) -> Redactor:
        """Knows the secrets of the checkout and of every recorded release."""
        return of_deployment(self.deployment)

    def planned(self, survey: Callable[[str], dict[str, Any]], procedure: str) -> Plan:
        """The plan of a procedure now; every gate is passed, nothing is changed."""
        self.no_open_run()
        refuse_others(self.deployment, procedure, "contain")
        with look.anew():
            return PROCEDURES[procedure](self.deployment, survey(new_run()))

    def carry_out(
        self, survey: Callable[[str], dict[str, Any]], procedure: str, confirm: Callable[[Plan], bool]
    ) -> Plan:
        """Survey, plan, confirm and run under the lock.

        Args:
            survey: reads the world for a run of the given id.
            procedure: its name.
            confirm: says whether a question was asked; then time has passed, and the world is read again.

        Raises:
            Refused: the lock is held, a run is open, a gate says no, the world changed while the question was open.
            NothingToDo: nothing differs from the target.
            Failed: see Runner.run.
        """
        with lock.held(self.lock_file, procedure):
            plan = self._planned_or_noted(survey, procedure)
            if confirm(plan) and _lasting(self._planned_or_noted(survey, procedure)) != _lasting(plan):
                raise Refused("The deployment changed while the question was open.", "repeat it and read the new plan")
            self._keep_typed(plan)
            with _left_open(), self._told(plan, START, PROGRESS, END) as view:
                self._runner(view).run(plan)
            return plan

    def _planned_or_noted(self, survey: Callable[[str], dict[str, Any]], procedure: str) -> Plan:
        """A refusal is part of the history too."""
        run = new_run()
        try:
            return self.planned(survey, procedure)
        except (Refused, NothingToDo) as stop:
            self.journal.append(run, "stopped", procedure=procedure, reason=self.redactor()(stop.found))
            raise
        except Failed as stop:
            # nothing was begun, so nothing has to be put back
            self.journal.append(run, "stopped", procedure=procedure, reason=self.redactor()(stop.found))
            raise Refused(stop.found, stop.next_step) from stop

    def resume(self, confirm: Callable[[Plan], bool]) -> Plan:
        """Go on with the interrupted run."""
        with lock.held(self.lock_file, "resume"), self._interrupted():
            self._has_all_words()
            plan = self.open_plan()
            confirm(plan)
            Edge(self.deployment).end_closing()
            with self._told(plan, PROGRESS, END) as view:
                self._runner(view).resume(plan)
            return plan

    def abort(self, confirm: Callable[[Plan], bool]) -> Plan:
        """Take the interrupted run back."""
        with lock.held(self.lock_file, "abort"), self._interrupted():
            plan = self.open_plan()
            confirm(plan)
            Edge(self.deployment).end_closing()
            with self._told(plan, END) as view:
                self._runner(view).abort(plan)
            return plan

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        """A journal that cannot be believed says nothing of a run; whatever fails after that leaves one open."""
        self.journal.entries()
        with _left_open():
            yield

    def way_back(self) -> Plan:
        """What `abort` would take back, in its order: the steps of the interrupted run that were begun."""
        plan = self.open_plan()
        return replace(plan, steps=tuple(reversed(self._runner().begun(plan))))

    def _told(self, plan: Plan, *stages: str) -> AbstractContextManager[Telling]:
        return Telling(self.deployment, self.journal, self.view, plan.run, {*stages} & {*plan.tells}).whole()

    def _runner(self, view: View | None = None) -> Runner:
        # what was secret at the beginning, and what is since: a run may bring env files back that were gone
        before = self.redactor()
        return Runner(
            self.journal,
            view or self.view,
            lambda text: self.redactor()(before(text)),
            typed.now(),
            lambda text: self.redactor().thorough(before(text)),
        )

    def _keep_typed(self, plan: Plan) -> None:
        """What the journal has masked only lies in the run's folder, private as the dumps there: a resume needs it."""
        mask = self.redactor().thorough
        own = {key: plan.arguments[key] for key in plan.typed if mask(plan.arguments[key]) != plan.arguments[key]}
        if own:
            path = self._typed_file(plan.run)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(path, json.dumps(own) + "\n", mode=0o600)

    def _typed_file(self, run: str) -> Path:
        return self.deployment.run_folder(run) / _TYPED

    def _as_typed(self, run: str) -> dict[str, str]:
        path = self._typed_file(run)
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    def _has_all_words(self) -> None:
        """Say that the open run can go on with what was typed.

        Raises:
            Failed: it was masked in the journal, and the file that has it is gone.
        """
        run = self.journal.unfinished()
        if run is not None and {*self._begin(run).get("masked", ())} - self._as_typed(run).keys():
            gone = f"What was typed to begin the run {run} is gone: {self._typed_file(run)}."
            raise Failed(gone, "`rollback abort`, then the command again", exit_code=Exit.NOT_PUT_BACK)

    def no_open_run(self) -> None:
        """Say that no run is open: what it has kept is needed to take it back.

        Raises:
            Refused: one was interrupted.
        """
        run = self.journal.unfinished()
        if run is not None:
            raise Refused(
                f"The run {run} ({self._begin(run)['summary']}) was interrupted.",
                "`rollback resume` goes on with it, `rollback abort` takes it back",
            )

    def _begin(self, run: str) -> dict[str, Any]:
        return next(entry.data for entry in self.journal.of(run) if entry.event == "begin")

    def open_plan(self) -> Plan:
        """The plan of the interrupted run, made again from the journal.

        Raises:
            NothingToDo: no run is interrupted.
        """
        run = self.journal.unfinished()
        if run is None:
            raise NothingToDo("No run is interrupted.")
        begin = self._begin(run)
        if begin["procedure"] not in PROCEDURES:
            unknown = f"The journal names the procedure {begin['procedure']}, which this version does not know."
            raise Failed(unknown, "use the version that began it", exit_code=Exit.NOT_PUT_BACK)
        return PROCEDURES[begin["procedure"]](self.deployment, {**begin["arguments"], **self._as_typed(run)})


@contextmanager
def _left_open() -> Iterator[None]:
    """A run was begun: what fails now, if nobody says that it was put back, leaves it open."""
    try:
        yield
    except (Failed, OSError) as cause:
        if isinstance(cause, Failed) and cause.exit is not Exit.INCONCLUSIVE:
            raise
        stop = cause if isinstance(cause, Failed) else Failed(f"{cause.filename or 'a file'}: {cause.strerror}.")
        raise Failed(stop.found, stop.next_step or CHOICE, exit_code=Exit.NOT_PUT_BACK) from cause


def _lasting(plan: Plan) -> dict[str, Any]:
    """What the plan is made from, without what differs from one look to the next."""
    return {key: value for key, value in plan.arguments.items() if key not in ("run", "since", "seen")}


def new_run() -> str:
    """A run id: UTC time and a few random letters; safe in container names, sortable."""
    return datetime.now(UTC).strftime("%y%m%d%H%M%S") + random.token_hex(2)
