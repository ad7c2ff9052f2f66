"""The services made anew from their images: behind the shut door, if it is shut, nobody runs before he is taken in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.containment.isolation import GRACE_SECONDS, Isolation
from rollback.containment.standing import Standing
from rollback.database import server
from rollback.engine import wait_for
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rollback.deployment import Deployment

__all__ = ["Renewal"]

_SHORT = 12
#: As Compose calls a replacement until its predecessor is gone: by the ID of that.
_REPLACEMENT = re.compile(r"([0-9a-f]{12})_(.+)")


@dataclass(frozen=True)
class Renewal:
    """The renewal of one run.

    Attributes:
        before: the containers of each service when the run began.
    """

    deployment: Deployment
    before: Mapping[str, Sequence[str]]

    @property
    def _seconds(self) -> float:
        return self.deployment.settings.timing.healthy * 2

    # who is asked while secrets and rows change

    def at_hand(self) -> Reading:
        """Whether the database and the store of sessions run and are healthy, and the database takes connections."""
        there = {one: self.deployment.serving(one) for one in self._asked()}
        lacking = [one for one, some in there.items() if not any(server.at_hand(self.deployment, two) for two in some)]
        return Reading(not lacking, f"not well: {', '.join(lacking)}" if lacking else "healthy")

    def _asked(self) -> list[str]:
        table = self.deployment.settings
        return [one for one in (table.database.service, table.containment.redis) if one]

    def have_at_hand(self) -> None:
        """Make what is missing of them, and start them.

        Raises:
            Failed: they do not become healthy.
        """
        self._tidy()
        lacking = [one for one in self._asked() if not self.deployment.serving(one)]
        if lacking:
            self.deployment.engine.ask(self.deployment.compose.create(lacking))
        self._start(self._asked())
        wait_for(self.at_hand, seconds=self._seconds, what="the database and the sessions")

    def _tidy(self) -> None:
        """Undo what Compose had half exchanged when it was killed.

        A replacement whose predecessor is still there goes: started beside it, it would be a second database on the
        same files. One whose predecessor is gone gets its name. Nothing of a volume is touched.
        """
        there = [one for one in self.deployment.containers() if not one.one_off]
        ids = {one.id[:_SHORT] for one in there}
        for one in there:
            found = _REPLACEMENT.fullmatch(one.name)
            if found and found[1] in ids:
                self.deployment.engine.ask(commands.remove([one.id]))
            elif found:
                self.deployment.engine.ask(commands.rename(one.id, found[2]))

    def _start(self, services: Collection[str]) -> None:
        ids = [one.id for one in self.deployment.containers() if one.service in services and not one.one_off]
        if Standing.read(self.deployment) is not None:
            ids = Isolation(self.deployment).admit(ids)
        self.deployment.engine.ask(commands.start(ids))

    # all of them

    def anew(self) -> Reading:
        """Whether every service runs in a container that was made since, with the files of now, and is healthy.

        One that cannot be shut in is made and not started while the deployment is shut.
        """
        hashes = self.deployment.hashes(self.deployment.compose)
        there = [one for one in self.deployment.containers() if not one.one_off and one.service in hashes]
        before = {one for some in self.before.values() for one in some}
        old = sorted(one.name for one in there if one.id in before or one.config_hash != hashes[one.service])
        missing = sorted(hashes.keys() - {one.service for one in there})
        if old or missing:
            wrong = [f"of before: {', '.join(old)}"] if old else []
            wrong += [f"without a container: {', '.join(missing)}"] if missing else []
            return Reading(holds=False, seen="; ".join(wrong))
        waiting = Isolation(self.deployment).waiting()
        ill = sorted(one.name for one in there if not one.well and one.id not in waiting)
        if ill:
            return Reading(holds=False, seen=f"not well: {', '.join(ill)}")
        late = sorted(one.name for one in there if one.id in waiting)
        healthy = f"{len(there) - len(late)} of {len(there)} healthy"
        return Reading(holds=True, seen=f"{healthy}, started when it is opened: {', '.join(late)}" if late else healthy)

    def make_anew(self) -> None:
        """Remove the old containers, make new ones, and start them.

        Raises:
            Failed: they do not become healthy.
        """
        services = sorted(self.before)
        self._tidy()
        if not self._only_ill():
            recreate = self.deployment.compose.recreate(services, stop_seconds=GRACE_SECONDS)
            self.deployment.engine.ask(recreate)
        self._start(services)
        wait_for(self.anew, seconds=self._seconds, what="the health of the new services")

    def _only_ill(self) -> bool:
        """Whether all are made already, as after a kill."""
        return self.anew().seen.startswith("not well")
