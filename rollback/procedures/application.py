"""Application rollback: the released services as an earlier release had them (RUNBOOK, Application Rollback).

The target runs beside the current release, is proven by its own identity, takes over the users at the edge, and
only then is the current release drained, stopped and replaced. Nobody is sent to anything unproven.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rollback.documents.preflight import Preflight
from rollback.documents.verification import verify
from rollback.engine import wait_for, wait_until
from rollback.parts.edge import Edge
from rollback.parts.networks import Networks
from rollback.parts.pin import Pin
from rollback.parts.rebuild import Rebuild
from rollback.parts.retired import Retired
from rollback.parts.standin import StandIns
from rollback.plan import Plan, Reading, Step
from rollback.procedures import target

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["NAME", "Procedure", "plan"]

NAME = "application"
SAFE = "Pre-Rollback Checklist; this procedure leaves the database alone, so users do not wait for it"

#: Checks that are told and do not hold the rollback open: the log of a container only grows, and a service that
#: this procedure never touches may have been ill before.
ADVISORY = frozenset({"errors", "services"})


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey.survey` found."""
    return Procedure.of(deployment, facts).plan()


@dataclass(frozen=True)
class Procedure:
    """The steps of a rollback of released services, traffic first; what goes back is the target's business."""

    deployment: Deployment
    facts: dict[str, Any]
    release: Release
    standins: StandIns
    preflight: Preflight
    pin: Pin
    retired: Retired
    edge: Edge

    @classmethod
    def of(cls, deployment: Deployment, facts: dict[str, Any]) -> Self:
        """From what was surveyed, now or again after a kill."""
        release = target.of(deployment, facts)
        folder = deployment.run_folder(facts["run"])
        before = {role: one["containers"] for role, one in facts["before"].items()}
        return cls(
            deployment,
            facts,
            release,
            StandIns(deployment, release, facts["run"], tuple(facts["roles"]), folder),
            Preflight(deployment, folder),
            Pin(deployment, release),
            Retired(deployment, folder / "retired", facts["run"], before),
            Edge(deployment),
        )

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        return Plan(
            procedure=self.facts.get("procedure", NAME),
            arguments=self.facts,
            run=self.facts["run"],
            summary=self._summary(),
            steps=(*(self._services() if self.facts["roles"] else self._files_only()), *self._proof()),
            notes=tuple(self._notes()),
        )

    def _services(self) -> tuple[Step, ...]:
        return (
            *self._images(),
            self._started_beside(),
            self.preflight.recorded(),
            self._proven_beside(),
            self._users_moved(),
            self._drained(),
            self.preflight.safe(SAFE, advisory=True),
            self._pinned(),
            *self._replaced(),
        )

    def _replaced(self) -> tuple[Step, ...]:
        """Users are beside: what they came from is stopped, and Compose runs the target in its place."""
        return (
            self._stopped_and_kept(),
            self._under_compose(),
            self._users_home(),
            self._standins_gone(),
        )

    def _files_only(self) -> tuple[Step, ...]:
        """No container differs: only the files and names that the next `up` reads."""
        return (
            *self._images(),
            self.preflight.recorded(),
            self.preflight.safe(SAFE, advisory=True),
            self._pinned(),
        )

    def _proof(self) -> tuple[Step, ...]:
        return (
            Step(
                "a plain `docker compose up -d` changes nothing",
                "a rollback that the next `up` undoes is none",
                self._settled,
                _nothing,
            ),
            Step(f"{self.release.version} verified", "done is what has been seen", self._verified, _nothing),
        )

    def _settled(self) -> Reading:
        """Of services, and of the networks that they are in."""
        unlike = Networks(self.deployment, self.deployment.compose).unlike()
        return Reading(holds=False, seen=f"network {', '.join(unlike)} otherwise") if unlike else self.pin.settled()

    def _summary(self) -> str:
        roles = ", ".join(self.facts["roles"]) or "no service"
        if self.release.live is not None:
            parts = " and ".join(self.facts["parts"])
            return f"put the {parts} files back as {self.release.version} had them; restarted: {roles}"
        return f"put {roles} and the env and Compose files back as {self.release.version} had them"

    def _notes(self) -> list[str]:
        told = [*self.facts.get("told", ())]
        told += [f"another project uses the image name {one}: it keeps running what it runs, and its own next `up`"
                " finds the name at another image" for one in self.facts["strangers"]]  # fmt: skip
        for role in self.facts["roles"]:
            direct = self.facts["before"][role]["published"]
            if direct:
                told.append(
                    f"{role} publishes {', '.join(direct)}: two copies cannot hold a port, so whoever comes past the"
                    " edge finds it closed while Compose replaces the container; users at the edge notice nothing"
                )
        return told

    def _images(self) -> tuple[Step, ...]:
        """Where the images are those that run, nothing has to be brought."""
        return () if self.release.live is not None else (self._images_at_hand(),)

    def _images_at_hand(self) -> Step:
        rebuild = Rebuild(self.deployment, self.release.version)
        return Step(
            f"images of {self.release.version} at hand",
            "a missing image is found before anything stops; it is rebuilt from its git tag in a tree of its own",
            rebuild.reading,
            rebuild.bring,
            gate=True,
        )

    def _started_beside(self) -> Step:
        roles = ", ".join(self.standins.roles) or "nothing"
        return Step(
            f"{self.release.version} started beside the current release: {roles}",
            "the target proves itself before anything stops",
            self._started,
            self.standins.start,
            self.standins.remove,
            gate=True,
        )

    def _started(self) -> Reading:
        """Stand-ins are needed only until the services themselves are the target."""
        home = self._home()
        return home if home.holds else self.standins.running()

    def _home(self) -> Reading:
        """Whether Compose's own containers are the target and the edge leads to them."""
        settled = self.pin.settled()
        return settled if not settled.holds else self.edge.reading(self._generation("home"))

    def _proven_beside(self) -> Step:
        return Step(
            f"{self.release.version} proven beside the current release",
            "healthy, and it is the release it claims to be, asked from where users will come",
            self._proven,
            self.standins.prove,
            gate=True,
        )

    def _proven(self) -> Reading:
        home = self._home()
        return home if home.holds else self.standins.proven()

    def _generation(self, where: str) -> str:
        return f"{self.facts['run']}-{where}"

    def _users_moved(self) -> Step:
        return Step(
            f"users served by {self.release.version}",
            "traffic first: recovery does not wait for what is replaced",
            self._moved,
            self._move,
            self._move_back,
            moves_users=True,
        )

    def _move(self) -> None:
        self.standins.protect()
        self._switch("beside", self.standins.names(), self._asset_backups())

    def _moved(self) -> Reading:
        beside = self.edge.reading(self._generation("beside"))
        return beside if beside.holds else self.edge.reading(self._generation("home"))

    def _asset_backups(self) -> dict[str, str]:
        """Where the edge finds assets of pages loaded just before the switch: the container that served them."""
        running = {one.id: one.name for one in self.deployment.containers() if one.well}
        return {
            role: running[one]
            for role, before in self.facts["before"].items()
            if self.deployment.settings.services[role].assets
            for one in before["containers"][:1]
            if one in running
        }

    def _switch(self, where: str, servers: dict[str, str], backups: dict[str, str]) -> None:
        generation = self._generation(where)
        self.edge.switch(generation, self.edge.content(generation, servers, backups))

    def _move_back(self) -> None:
        """Once what ran before can be led to: a release that dies at start has a name only while it lives."""
        services = [one.service for one in self.deployment.settings.services.values() if one.upstream]
        wait_until(
            lambda: self.edge.knows(services),
            seconds=self.deployment.settings.timing.healthy,
            what="a way back to the services that ran before",
        )
        self._switch("back", {}, {})
        self.edge.drain()

    def _drained(self) -> Step:
        return Step(
            "requests to the replaced release finished",
            "a request in flight ends where it began",
            self.edge.draining,
            self.edge.drain,
        )

    def _pinned(self) -> Step:
        return Step(
            f"files and image names as in {self.release.version}",
            "what the next `up` reads must be the target",
            self.pin.reading,
            self.pin.put,
            lambda: self.pin.take_back(self.preflight, self.facts["before"], self.facts["names"]),
        )

    def _stopped_and_kept(self) -> Step:
        return Step(
            "replaced containers stopped, kept with their logs",
            "the post-mortem needs them",
            self.retired.reading,
            self._stop_and_keep,
        )

    def _stop_and_keep(self) -> None:
        """After a grace time: a browser that has loaded a page has not asked for its assets yet."""
        time.sleep(self.deployment.settings.edge.linger_seconds)
        self.retired.keep()

    def _under_compose(self) -> Step:
        services = [self.release.images[role].service for role in self.facts["roles"]]
        seconds = self.deployment.settings.timing.healthy
        return Step(
            f"{self.release.version} runs as Compose's own services",
            "the stand-ins serve meanwhile",
            self.pin.settled,
            lambda: self.pin.up(services, seconds),
        )

    def _users_home(self) -> Step:
        return Step(
            "users served by Compose's own services",
            "the stand-ins go, the deployment is whole again",
            lambda: self.edge.reading(self._generation("home")),
            self._go_home,
            self._leave_home,
        )

    def _leave_home(self) -> None:
        """Users are beside again before Compose puts back what ran before: taking back stops nobody either."""
        if not self.edge.reading(self._generation("home")).holds:
            return
        self.standins.start()
        self.standins.prove()
        self._move()
        self.edge.drain()

    def _go_home(self) -> None:
        # without a health check Compose waits for nothing but that they run
        seconds, version = self.deployment.settings.timing.healthy, self.release.version
        wait_for(self.pin.proven, seconds=seconds, what=f"the services of Compose, answering as {version},")
        self._switch("home", {}, {})

    def _standins_gone(self) -> Step:
        return Step(
            "stand-ins drained and removed",
            "nothing of the rollback itself stays behind",
            self.standins.gone,
            self._remove_standins,
        )

    def _remove_standins(self) -> None:
        self.edge.drain()
        self.standins.remove()

    def _verified(self) -> Reading:
        # read anew: a rebuilt image has another ID
        release = target.of(self.deployment, self.facts)
        lines = verify(self.deployment, release, since=self.facts["since"])
        bad = [one for one in lines if not one.ok]
        told = "; ".join(f"{one.check}: {one.seen}" for one in bad) or f"all {len(lines)} checks"
        return Reading(not any(one.check not in ADVISORY for one in bad), told)


def _nothing() -> None:
    """Only the reading counts."""
