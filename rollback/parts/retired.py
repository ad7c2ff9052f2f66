"""What was replaced is stopped and kept for the post-mortem: its log and an image of its file system.

Compose removes an outdated container at the next `up`, even a stopped one, and its labels cannot be changed. So
the container itself cannot stay; what it knew does.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.parts import files, images
from rollback.plan import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["Retired"]

_INDEX = "index.json"


@dataclass(frozen=True)
class Retired:
    """The containers that a run replaces.

    Attributes:
        folder: where their logs are kept.
        before: container IDs by role.
    """

    deployment: Deployment
    folder: Path
    run: str
    before: dict[str, list[str]]

    def _ids(self) -> set[str]:
        return {one for some in self.before.values() for one in some}

    def reading(self) -> Reading:
        """Whether all are stopped and kept."""
        if not (self.folder / _INDEX).is_file():
            return Reading(holds=False, seen="nothing is kept yet")
        alive = sorted(one.name for one in self.deployment.containers() if one.id in self._ids() and one.running)
        return Reading(not alive, f"still running: {', '.join(alive)}" if alive else f"kept in {self.folder}")

    def keep(self) -> None:
        """Stop them in their own time (they finish requests and jobs in hand), then keep what they leave."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = [one for one in self.deployment.containers() if one.id in self._ids()]
        if there:
            seconds = self.deployment.settings.timing.stop
            self.deployment.engine.ask(commands.stop([one.id for one in there], seconds=seconds), seconds=seconds + 60)
        logs = {self.folder / f"{one.name}.log": commands.logs(one.id) for one in there}
        self.deployment.engine.save_all(logs)
        with ThreadPoolExecutor(max(1, len(there))) as pool:
            index = list(pool.map(lambda one: self._keep(one.id, one.name, one.service), there))
        files.write(self.folder / _INDEX, json.dumps(index, indent=1) + "\n", mode=0o600)

    def _keep(self, container: str, name: str, service: str) -> dict[str, Any]:
        log = self.folder / f"{name}.log"
        image = images.keep_name(self.deployment.project, service, f"retired-{self.run}")
        self.deployment.engine.ask(commands.commit(container, image, f"replaced by rollback {self.run}"))
        return {
            "name": name,
            "service": service,
            "log": log.name,
            "log_sha256": files.sha256(log),
            "image": image,
        }
