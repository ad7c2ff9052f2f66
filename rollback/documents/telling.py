"""Around a run: people are told while it goes on, and what users met is measured when it ends."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rollback.documents import impact, incident
from rollback.documents.delivery import Notifier
from rollback.documents.notification import END, PROGRESS, START
from rollback.runner import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment
    from rollback.journal import Journal
    from rollback.plan import Step

__all__ = ["Screen", "Telling"]


class Screen(View, Protocol):
    """Shows a run's progress, and says a sentence."""

    def say(self, text: str) -> None:
        """One line for people."""


@dataclass
class Telling:
    """A view that passes everything on to the operator's, and lets others know of the turning points.

    Whatever goes wrong with it is said at the end; no rollback fails or waits because nobody could be told.

    Attributes:
        due: the stages that nobody was told of yet.
    """

    deployment: Deployment
    journal: Journal
    screen: Screen
    run: str
    due: set[str]

    def __post_init__(self) -> None:
        self._notifier = Notifier(self.deployment, self.journal)
        self._troubles: list[str] = []

    def started(self, step: Step) -> None:
        """A step begins; before the first one the start is told."""
        self._tell(START)
        self.screen.started(step)

    def working(self, text: str) -> None:
        """How far the step is."""
        self.screen.working(text)

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended; once users are moved they are said to be served."""
        self.screen.ended(step, event, seconds, seen)
        if step.moves_users and event in ("done", "skipped"):
            self._tell(PROGRESS)

    def _tell(self, stage: str) -> None:
        if stage not in self.due:
            return
        self.due.discard(stage)
        with self._tolerant():
            self._notifier.tell(self.run, stage)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- no rollback fails because somebody could not be told; it is said
            self._troubles.append(str(error) or type(error).__name__)

    @contextmanager
    def whole(self) -> Iterator[Telling]:
        """Around the run: at its end, however it ends, users' failed requests are counted and the end is told."""
        try:
            yield self
        finally:
            with self._tolerant():
                self._measure()
            self._tell(END)
            with self._tolerant():
                self._troubles += self._notifier.settle(self.run)
            for one in self._troubles:
                self.screen.say(f"warning: {one}")

    def _measure(self) -> None:
        entries = self.journal.entries()
        if any(one.run == self.run and one.event == "begin" for one in entries):
            found = incident.find(entries, self.run)
            self.journal.append(self.run, "impact", **impact.measure(self.deployment, found.began))
        else:
            self.due.clear()
