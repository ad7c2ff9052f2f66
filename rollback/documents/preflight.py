"""The pre-rollback record: what was there before anything changed (RUNBOOK, Pre-Rollback Checklist).

One folder a run under the deployment's state: state and last logs of every service, the env files and the
upstream file as they were, and a safety backup that has been read to its end. Private to the operator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.database import safety
from rollback.parts import files
from rollback.plan import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Container, Deployment

__all__ = ["Preflight"]

LOG_LINES = 100
_INDEX = "before.json"


@dataclass(frozen=True)
class Preflight:
    """The record of one run."""

    deployment: Deployment
    folder: Path

    @property
    def store(self) -> Path:
        """The files as they were."""
        return self.folder / "files"

    @property
    def backup(self) -> Path:
        """The safety backup."""
        return self.folder / "safety.dump"

    def reading(self) -> Reading:
        """Whether the record is whole; its index is written last."""
        if not (self.folder / _INDEX).is_file():
            return Reading(holds=False, seen="no record of the state before")
        index = self._index()
        whole = self.backup.is_file() and files.sha256(self.backup) == index["backup"]
        return Reading(whole, f"state, logs and a safety backup of {self._size()} in {self.folder.name}")

    def take(self) -> None:
        """Write the record.

        Raises:
            Failed: when the safety backup could not be taken or read.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        records = files.capture(self.deployment.root, self._files(), self.store)
        containers = self.deployment.containers()
        for one in containers:
            self.deployment.engine.save(
                commands.logs(one.name, tail=LOG_LINES), self.folder / f"{one.name}.log", both=True
            )
        index = {
            "files": [one.as_json() for one in records],
            "containers": [_state(one) for one in containers],
            "migrations": self.deployment.migrations(),
            "backup": safety.dump(self.deployment, self.backup),
        }
        files.write(self.folder / _INDEX, json.dumps(index, indent=1) + "\n", mode=0o600)

    def restore_files(self, names: list[str]) -> None:
        """Put files back as they were when the record was taken."""
        wanted = [one for one in self.records() if one.path in names]
        files.restore(self.deployment.root, wanted, self.store)

    def records(self) -> list[files.FileRecord]:
        """The files of the record."""
        return [files.FileRecord(**one) for one in self._index()["files"]]

    def _files(self) -> list[str]:
        table = self.deployment.settings
        return [*table.compose.env_files, *table.compose.files, table.edge.upstream_file]

    def _index(self) -> dict[str, Any]:
        index: dict[str, Any] = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        return index

    def _size(self) -> str:
        return f"{self.backup.stat().st_size / 1e6:.1f} MB"


def _state(one: Container) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "service": one.service,
        "image": one.image,
        "running": one.running,
        "health": one.health,
        "restarts": one.restarts,
    }
