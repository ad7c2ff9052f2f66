"""A service's log as it grows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollback import commands
from rollback.outcome import Failed

if TYPE_CHECKING:
    from rollback.deployment import Deployment

__all__ = ["Tail"]

_SECONDS_TO_READ = 30.0


@dataclass
class Tail:
    """The new lines of one log: each is seen once, whatever the clocks do.

    Attributes:
        service: of the Compose files.
        since: the engine's time of the newest line that was seen; at first, from when on.
    """

    deployment: Deployment
    service: str
    since: str
    _seen: Counter[str] = field(default_factory=Counter)

    def new(self) -> list[str]:
        """Lines that were not seen yet, each with the engine's time stamp.

        Raises:
            Failed: the service has no container, or its log cannot be read.
        """
        there = self.deployment.serving(self.service)
        if not there:
            raise Failed(f"The service {self.service} has no container.")
        read = self.deployment.engine.run(commands.logs(there[0].name, since=self.since), seconds=_SECONDS_TO_READ)
        if read.code != 0:
            raise Failed(f"The log of {there[0].name} cannot be read.")
        lines = [*read.out.splitlines(), *read.err.splitlines()]
        # lines of the stamp that was read last come again: they are taken once
        new = list((Counter(lines) - self._seen).elements())
        if new:
            self.since = max(line.partition(" ")[0] for line in new)
            self._seen = Counter(line for line in lines if line.startswith(self.since))
        return new
