"""Complete system failure: the deployment rebuilt from a full backup (RUNBOOK, Emergency Procedures).

What is left is kept: containers are stopped, their logs and file systems saved; a database that is sound serves on, and
one that is not lies in a volume of its own before anything is put in its place. Then the core comes up, each service
when the one before is ready, and an account of this one check finds out whether users can sign in, read and write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.documents.preflight import Preflight
from rollback.documents.verification import verify
from rollback.engine import wait_for
from rollback.outcome import Failed
from rollback.plan import Plan, Reading, Step
from rollback.recovery.checkout import Checkout, Pictures
from rollback.recovery.contents import Filled, Uploaded
from rollback.recovery.database import Database
from rollback.recovery.ground import KEPT, Ground, known_as
from rollback.recovery.missing import Missing
from rollback.recovery.services import Left, Ran, Service
from rollback.recovery.users import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment

__all__ = ["NAME", "plan"]

NAME = "recover"
_USERS = "users.json"


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what the survey found."""
    ground = Ground(known_as(deployment, facts["project"]), facts)
    return _Procedure(ground, Database(ground)).plan()


@dataclass(frozen=True)
class _Procedure:
    ground: Ground
    database: Database

    @property
    def _facts(self) -> dict[str, Any]:
        return self.ground.facts

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        return Plan(
            procedure=NAME,
            arguments=self._facts,
            run=self.ground.run,
            summary=f"rebuild the deployment from full backup {self._facts['archive']}, taken {self._facts['taken']}",
            steps=tuple(self._steps()),
            notes=tuple(self._notes()),
        )

    def _steps(self) -> Iterator[Step]:
        yield self._preflight().recorded()
        yield self._ran()
        yield self._files()
        if self.ground.from_archive:
            yield self._images()
        yield self._left()
        yield self._examined()
        yield self._aside()
        yield from self._filled()
        database, edge = self.ground.deployment.settings.database.service, self.ground.deployment.settings.edge.service
        yield self._up(database, "first of all: nothing works without it")
        yield self._restored()
        yield self._uploads()
        for one in self._facts["services"]:
            if one != database:
                yield self._up(one, "when what it needs is ready", moves_users=one == edge)
        yield self._checked()
        yield self._users()
        yield self._missing()

    def _notes(self) -> Iterator[str]:
        yield from (f"skipped: {one}" for one in self._facts["skipped"])
        yield from self._facts["notes"]
        if self._facts["application"] == KEPT:
            yield "files and images are whole as they lie here, and are kept; --everything puts back the archive's"
        else:
            releases = ", ".join(self._facts["releases"]) or "not recorded"
            yield f"files and images come from the archive: release {releases}"
        yield (
            "the database of before is kept if it starts and every row can be read; else it is set aside, and what was"
            f" written after {self._facts['taken']} is lost"
        )
        yield "nothing of what is left is deleted: containers are kept as logs and images, volumes as volumes"

    def _preflight(self) -> Preflight:
        parts = self.ground.deployment.settings.parts
        return Preflight(
            self.ground.deployment, self.ground.folder, (*parts.nginx, *parts.certificates, *parts.monitoring)
        )

    def _ran(self) -> Step:
        ran = Ran(self.ground)
        return Step(
            "what ran is known", "whoever takes it back lets it run again", ran.reading, ran.note, ran.run_again
        )

    def _files(self) -> Step:
        checkout = Checkout(self.ground)

        def back() -> None:
            preflight = self._preflight()
            preflight.restore_files([one.path for one in preflight.records()])

        return Step(
            "files of the checkout as they should be",
            "Compose reads them; what they replace is kept in the folder of the run",
            checkout.reading,
            checkout.put_back,
            back,
        )

    def _images(self) -> Step:
        pictures = Pictures(self.ground)
        cause = "nothing is built and nothing is pulled in an outage"
        return Step("images at hand", cause, pictures.reading, pictures.load, pictures.names_back)

    def _left(self) -> Step:
        left = Left(self.ground)
        cause = "evidence: their logs and file systems; nothing writes from here on"
        return Step("what is left stopped and kept", cause, left.reading, left.keep, left.start_again)

    def _examined(self) -> Step:
        cause = "a sound database is never replaced; it is started on only after it was copied"
        return Step(
            "database examined",
            cause,
            self.database.examined,
            self.database.examine,
            self.database.leave,
            final=True,
        )

    def _aside(self) -> Step:
        cause = "room for the restore; what is in it stays as evidence"
        act, undo = self.database.set_aside, self.database.put_back
        return Step("damaged database set aside", cause, self._is_aside, act, undo, final=True)

    def _is_aside(self) -> Reading:
        return self.database.is_aside() if self.database.found else Reading(holds=False, seen="not examined yet")

    def _filled(self) -> Iterator[Step]:
        for one in self.ground.archive.volumes:
            if one.key in self._facts["fill"]:
                filled = Filled(self.ground, one)
                cause = f"{self._facts['fill'][one.key]}; {one.service or 'monitoring'} keeps its data there"
                yield Step(f"volume {one.key} filled", cause, filled.reading, filled.fill, filled.leave, final=True)

    def _up(self, name: str, cause: str, *, moves_users: bool = False) -> Step:
        service = Service(self.ground, name)
        return Step(f"{name} ready", cause, service.reading, service.up, final=True, moves_users=moves_users)

    def _restored(self) -> Step:
        name = f"database as {self._facts['archive']} has it, or as it was"
        cause = "equal to its manifest, row by row, before anybody works with it"
        return Step(name, cause, self.database.restored, self.database.restore, final=True)

    def _uploads(self) -> Step:
        uploaded = Uploaded(self.ground)
        cause = "rows speak of them; files that no row speaks of stay where they are"
        return Step("uploaded files there", cause, uploaded.reading, uploaded.put_back, final=True)

    def _checked(self) -> Step:
        seconds = self.ground.deployment.settings.timing.healthy

        def wait() -> None:
            wait_for(self._sound, seconds=seconds, what="the checklist")

        return Step("applications at work", "Verify core functionality", self._sound, wait, final=True)

    def _sound(self) -> Reading:
        ill = [one for one in verify(self.ground.deployment, None) if not one.ok and one.check != "errors"]
        return Reading(not ill, "; ".join(f"{one.check}: {one.seen}" for one in ill) or "every line of the checklist")

    def _users(self) -> Step:
        cause = "healthy services are no proof of it"
        name = "users can sign in, read and write"
        return Step(name, cause, self._have_worked, self._work, self._leave, final=True)

    def _have_worked(self) -> Reading:
        told = self.ground.noted(_USERS)
        return Reading(told is not None, f"seen: {told['seen']}" if told else "nobody has tried")

    def _work(self) -> None:
        visitor = Visitor(self.ground.deployment, self.ground.run)
        visitor.tidy()  # of a check that was killed
        try:
            seen = visitor.work()
        finally:
            visitor.tidy()
        if not seen.holds:
            raise Failed(
                f"A user cannot work: {seen.seen}.", "look at the service that answers, then `rollback resume`"
            )
        self.ground.note(_USERS, {"seen": seen.seen})

    def _leave(self) -> None:
        """A killed check leaves no account behind; of a database that does not run nobody could take it away."""
        service = self.ground.deployment.settings.database.service
        if any(one.running for one in self.ground.deployment.serving(service)):
            Visitor(self.ground.deployment, self.ground.run).tidy()

    def _missing(self) -> Step:
        missing = Missing(self.ground, self.database)

        def read() -> Reading:
            return missing.reading() if self.database.found else Reading(holds=False, seen="not known yet")

        return Step("what is missing told", "users have to be told", read, lambda: None, final=True)
