"""Services that no release has (the edge, the database, Redis) and that the files of one change: made anew by Compose.

They go in an order in which users can still be moved. What the target needs comes first; the edge comes when the target
runs beside, and starts leading to it: whoever served before may have no name any more, and nginx does not start then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.outcome import Failed
from rollback.parts.networks import Networks
from rollback.plan import Plan, Reading, Step
from rollback.procedures.application import Procedure

if TYPE_CHECKING:
    from rollback.deployment import Deployment

__all__ = ["Others", "facts", "plan", "told"]


def plan(deployment: Deployment, known: dict[str, Any]) -> Plan:
    """The plan of a part whose files change such services."""
    return Others.of(deployment, known).plan()


def facts(deployment: Deployment, others: list[str]) -> dict[str, Any]:
    """What such a plan is made from: which services, which of them have no container, and whether the edge runs."""
    there = {one.service for one in deployment.containers() if not one.one_off}
    return {
        "others": others,
        "absent": [one for one in others if one not in there],
        "edge_runs": deployment.edge_running() is not None,
    }


def told(deployment: Deployment, others: list[str]) -> list[str]:
    """What the operator has to know of them beforehand."""
    away = deployment.settings.edge.service in others
    found = [f"{one} is made anew by Compose: it is away for a moment, and its data stay" for one in others]
    return [*found, "users reach nothing while the edge is made anew"] if away else found


@dataclass(frozen=True)
class Others(Procedure):
    """The files first: Compose makes all of them by these."""

    @property
    def _part(self) -> str:
        return str(self.facts["parts"][0])

    @property
    def _edge(self) -> str:
        return self.deployment.settings.edge.service

    @property
    def _edge_with_them(self) -> bool:
        """Whether the edge has to be started for users to be moved at all."""
        anew = self._edge in self.facts["others"] or not self.facts.get("edge_runs", True)
        return bool(self.facts["roles"]) and anew

    @property
    def _first(self) -> list[str]:
        """What is made anew before anything of the release is started."""
        return [one for one in self.facts["others"] if not (self._edge_with_them and one == self._edge)]

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        return Plan(
            procedure=self._part,
            arguments=self.facts,
            run=self.facts["run"],
            summary=self._title(),
            steps=(
                self.preflight.recorded(),
                self._files(),
                *self._anew(),
                *self._proof(),
            ),
            notes=tuple(self._notes()),
        )

    def _anew(self) -> tuple[Step, ...]:
        if self._networks:
            # what the release does not have must not be in a network that is taken away
            return (*self._more(), self._networks_anew())
        first = (self._made_anew(),) if self._first else ()
        beside = (*self._beside(), *self._replaced()) if self.facts["roles"] else ()
        return (*first, *beside, *self._more())

    @property
    def _networks(self) -> list[str]:
        return list(self.facts.get("networks", ()))

    def _title(self) -> str:
        return self._summary()

    def _more(self) -> tuple[Step, ...]:
        return ()

    def _beside(self) -> tuple[Step, ...]:
        """Where something was made anew already, a target that is refused is no proof that nothing was changed."""
        started, proven = self._started_beside(), self._proven_beside()
        if self._first:
            started = replace(started, gate=False)
        if self._first or self._edge_with_them:
            proven = replace(proven, gate=False)
        edge = (self._edge_up(),) if self._edge_with_them else ()
        return (started, *edge, proven, self._users_moved(), self._drained())

    def _files(self) -> Step:
        kind = {"compose": "Compose", "environment": "env"}[self._part]
        return Step(
            f"{kind} files as in {self.release.version}",
            "what Compose does from now on, it does by these",
            self.pin.reading,
            self.pin.put,
            self._files_back,
        )

    def _files_back(self) -> None:
        self.preflight.restore_files([one.path for one in self.release.files[self._part]])

    def _made_anew(self) -> Step:
        services = self._first
        return Step(
            f"{', '.join(services)} as in {self.release.version}",
            "Compose makes them anew, and waits until they are healthy",
            lambda: self._alike(services),
            lambda: self.pin.up(services, self.deployment.settings.timing.healthy),
            lambda: self._made_back(services),
        )

    def _networks_anew(self) -> Step:
        return Step(
            f"network {', '.join(self._networks)} as in {self.release.version}, and all that is in it",
            "a network cannot be changed, and cannot be taken away while somebody is in it",
            self._networked,
            self._network,
            self._network_back,
        )

    def _networked(self) -> Reading:
        now = Networks(self.deployment, self.deployment.compose).reading(self._networks, self._first)
        return self._alike(self._first) if now.holds else now

    def _network(self) -> None:
        Networks(self.deployment, self.deployment.compose).anew(self._networks, self._first)
        self.pin.up(self._first, self.deployment.settings.timing.healthy)

    def _network_back(self) -> None:
        self._files_back()
        known = [one for one in self._first if one in self.deployment.hashes(self.deployment.compose)]
        Networks(self.deployment, self.deployment.compose).anew(self._networks, known)
        self._made_back(self._first)

    def _edge_up(self) -> Step:
        return Step(
            f"{self._edge} as in {self.release.version}, leading to what runs beside",
            "it has to run for anybody to be moved, and what it led to may have no name any more",
            self._edge_leads,
            self._lead,
            lambda: self._made_back([self._edge]),
        )

    def _edge_leads(self) -> Reading:
        alike = self._alike([self._edge])
        seen = self.edge.generation() if alike.holds else ""
        ours = seen.startswith(f"{self.facts['run']}-")
        return Reading(ours, f"the edge answers generation {seen}") if alike.holds else alike

    def _lead(self) -> None:
        generation = self._generation("edge")
        content = self.edge.content(generation, self.standins.names(), {})
        self.edge.switch(generation, content, anew=not self._alike([self._edge]).holds)

    def _made_back(self, services: list[str]) -> None:
        """As the files of before have them.

        Raises:
            Failed: Compose cannot read those, or they have no such service: then nothing can make what ran before.
        """
        self._files_back()
        self.preflight.restore_files([self.deployment.settings.edge.upstream_file])
        known = self.deployment.hashes(self.deployment.compose)
        lost = [one for one in services if one not in known and one not in self.facts["absent"]]
        if lost:
            raise Failed(f"The files of before have no {', '.join(lost)}: it stays as in {self.release.version}.")
        mine = [one.id for one in self.deployment.containers() if one.service in services and one.service not in known]
        if mine:
            self.deployment.engine.ask(commands.remove(mine))
        again = [one for one in services if one in known]
        if again:
            self.deployment.engine.ask(self.deployment.compose.up(again, wait_seconds=None))

    def _alike(self, services: list[str]) -> Reading:
        wrong = sorted(set(self.pin.unlike_running()) & set(services))
        ill = sorted(one.service for one in self.deployment.containers() if one.service in services and not one.well)
        seen = [f"{', '.join(wrong)} otherwise"] if wrong else []
        seen += [f"{', '.join(ill)} not well"] if ill else []
        return Reading(not seen, "; ".join(seen) or "as these files say, and healthy")
