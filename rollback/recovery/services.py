"""Services: what is left of them stopped and kept, then each one brought up when the one before is ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import server
from rollback.engine import wait_for
from rollback.outcome import Failed
from rollback.parts.retired import Retired
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from rollback.recovery.ground import Ground
    from rollback.settings import Settings

__all__ = ["Left", "Ran", "Service", "order"]

_RAN = "ran.json"
#: A database that went down hard goes through its log first.
_PATIENCE = 600


def order(settings: Settings, services: Collection[str]) -> list[str]:
    """The order in which services come up: as [recovery] says, or by what they are; the rest last."""
    released = {one.service for one in settings.services.values()}
    stores = sorted(set(services) - released - {settings.database.service, settings.edge.service})
    behind = [one.service for one in settings.services.values() if one.upstream is None]
    reached = [one.service for one in settings.services.values() if one.upstream is not None]
    usual = [settings.database.service, *stores, *behind, *reached, settings.edge.service]
    wanted = [*settings.recovery.first, *usual]
    return [one for one in dict.fromkeys(wanted) if one in services]


@dataclass(frozen=True)
class Left:
    """The containers that were left."""

    ground: Ground

    @property
    def _retired(self) -> Retired:
        ids = [one["id"] for one in self.ground.facts["left"]]
        return Retired(self.ground.deployment, self.ground.folder / "left", self.ground.run, {"left": ids})

    def reading(self) -> Reading:
        """Whether all were stopped and kept."""
        if not self.ground.facts["left"]:
            return Reading(holds=True, seen="no container was left")
        # once they are kept whatever runs is the recovery's own doing
        kept = (self._retired.folder / "index.json").is_file()
        count = len(self.ground.facts["left"])
        return Reading(kept, f"{count} containers kept in {self._retired.folder}" if kept else f"{count} not kept yet")

    def keep(self) -> None:
        """Stop them in their own time, and keep their logs and file systems for the post-mortem."""
        self._retired.keep()

    def start_again(self) -> None:
        """Let those run that ran."""
        there = {one.id for one in self.ground.deployment.containers()}
        ran = [one["id"] for one in self.ground.facts["left"] if one["running"] and one["id"] in there]
        if ran:
            self.ground.deployment.engine.ask(commands.start(ran))


@dataclass(frozen=True)
class Ran:
    """The services that ran before: an abort lets them run again, whatever they were replaced by."""

    ground: Ground

    def reading(self) -> Reading:
        """Whether they are known."""
        told = self.ground.noted(_RAN)
        return Reading(told is not None, f"{len(told['services'])} services ran" if told else "not noted yet")

    def note(self) -> None:
        """Write them down."""
        ran = {str(one.get("service") or "") for one in self.ground.facts["left"] if one["running"]}
        self.ground.note(_RAN, {"services": sorted(ran - {""})})

    def run_again(self) -> None:
        """What is gone or was made anew, as the files have it that are in their place again; nobody waits for it."""
        deployment, left = self.ground.deployment, {one["id"] for one in self.ground.facts["left"]}
        runs = {one.service for one in deployment.containers() if one.running and one.id in left}
        gone = sorted({*(self.ground.noted(_RAN) or {"services": []})["services"]} - runs)
        if gone:
            deployment.engine.ask(deployment.compose.up(gone, wait_seconds=None))


@dataclass(frozen=True)
class Service:
    """One service."""

    ground: Ground
    name: str

    def reading(self) -> Reading:
        """Whether it runs as the files say, is healthy, and takes connections if it is the database."""
        deployment = self.ground.deployment
        serving = deployment.serving(self.name)
        if not serving:
            return Reading(holds=False, seen="it has no container")
        ill = [one.name for one in serving if not server.at_hand(deployment, one)]
        wanted = deployment.hashes(deployment.compose).get(self.name)
        image = deployment.image_id(deployment.image_name(self.ground.model, self.name))
        other = [text for one in serving for text in one.differences(image, wanted)]
        told = "; ".join([f"{one} is not healthy" for one in ill] + other)
        return Reading(not told, told or "runs and is healthy")

    def up(self) -> None:
        """Bring it up, and nothing else; returns when it is ready.

        Raises:
            Failed: it is not, in time.
        """
        deployment = self.ground.deployment
        slow = self.name == deployment.settings.database.service
        wait = max(deployment.settings.timing.healthy, _PATIENCE if slow else 0)
        argv = deployment.compose.up([self.name], wait_seconds=wait)
        try:
            deployment.engine.ask(argv, seconds=wait + 120)
            # to Compose a service without a health check is up when it has been started
            wait_for(self.reading, seconds=wait, what=f"the service {self.name}")
        except Failed as stop:
            raise Failed(f"{stop.found}{self._own_volumes()}", stop.next_step) from stop

    def _own_volumes(self) -> str:
        """What is in a volume of its own may keep it from being ready, and nobody has looked at that."""
        kept = [key for key, service in self.ground.facts["kept"].items() if service == self.name]
        words = " ".join(f"--volume {key}" for key in kept)
        back = f"`rollback abort`, then `rollback recover {words}` sets it aside and puts back the archive's"
        return f" If its log says that what is in its volume is damaged: {back}." if kept else ""
