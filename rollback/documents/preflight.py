"""The pre-rollback record: what was there before anything changed (RUNBOOK, Pre-Rollback Checklist).

One folder a run under the deployment's state: state and last logs of every service, versions, migration, disks, load,
connections and how bad it looks (all without secrets), the env and Compose files and the upstream file as they were,
and a safety backup that has been read to its end. Private to the operator.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rollback.documents import severity
from rollback.documents.evidence import Evidence, logs, state
from rollback.parts import files
from rollback.plan import Reading, Step
from rollback.secrets import of_deployment

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["CHANGES", "Preflight"]

#: Why a procedure that changes the database takes a safety backup first.
CHANGES = "this procedure changes the database"
_INDEX = "before.json"
#: Users may wait: what hangs, as a backend that is ill may, is noted and not waited for.
_READING_SECONDS = 2.0
_BACKUP_MARK = "safety.sha256"


@dataclass(frozen=True)
class Preflight:
    """The record of one run.

    Attributes:
        more: files and folders of the checkout that it keeps as well.
        whole: the deployment whose state is read, where the run is about a stack beside it.
    """

    deployment: Deployment
    folder: Path
    more: tuple[str, ...] = ()
    whole: Deployment | None = None

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
        whole = (self.folder / _INDEX).is_file()
        return Reading(whole, f"state and logs in {self.folder.name}" if whole else "no record of the state before")

    def backed_up(self) -> Reading:
        """Whether the safety backup is there and is what was read to its end."""
        mark = self.folder / _BACKUP_MARK
        if not (mark.is_file() and self.backup.is_file()):
            return Reading(holds=False, seen="no safety backup")
        whole = files.sha256(self.backup) == mark.read_text(encoding="utf-8").strip()
        size = f"{self.backup.stat().st_size / 1e6:.1f} MB"
        return Reading(whole, f"{size} in {self.folder.name}" if whole else "the safety backup was changed")

    def back_up(self) -> None:
        """Dump the database; a dump that is under its final name was read to its end.

        Raises:
            Failed: when it could not be taken or read.
        """
        from rollback.database import safety  # noqa: PLC0415 -- psycopg takes its time, and users wait before this step

        digest = safety.dump(self.deployment, self.backup)
        files.write(self.folder / _BACKUP_MARK, f"{digest}\n", mode=0o600)

    def take(self) -> None:
        """Write the record; nothing need answer, and nobody waits for long."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        records = files.capture(self.deployment.root, self._files(), self.store)
        containers, redact = self.deployment.containers(), of_deployment(self.deployment)
        logs(self.deployment, containers, self.folder / "logs", redact)
        seen = Evidence(self.whole or self.deployment, self.folder, redact, _READING_SECONDS)
        seen.written(seen.readings(severity=self._severity))
        index = {
            "files": [one.as_json() for one in records],
            "containers": [state(one) for one in containers],
        }
        files.write(self.folder / _INDEX, json.dumps(index, indent=1) + "\n", mode=0o600)

    def _severity(self) -> dict[str, Any]:
        return asdict(severity.derived(severity.look(self.whole or self.deployment)))

    def recorded(self) -> Step:
        """The step that every procedure begins with."""
        cause = "Pre-Rollback Checklist: evidence, and the files as they were"
        return Step("state before recorded", cause, self.reading, self.take, gate=True)

    def safe(self, cause: str, *, advisory: bool = False) -> Step:
        """The step of the safety backup; advisory where nothing that follows depends on it."""
        name = "safety backup taken"
        return Step(name, cause, self.backed_up, self.back_up, gate=not advisory, advisory=advisory)

    def restore_files(self, names: list[str]) -> None:
        """Put files back as they were when the record was taken."""
        wanted = [one for one in self.records() if one.path in names]
        files.restore(self.deployment.root, wanted, self.store)

    def records(self) -> list[files.FileRecord]:
        """The files of the record."""
        return [files.FileRecord(**one) for one in self._index()["files"]]

    def _files(self) -> list[str]:
        table = self.deployment.settings
        return [*table.compose.env_files, *table.compose.files, table.edge.upstream_file, *self.more]

    def _index(self) -> dict[str, Any]:
        index: dict[str, Any] = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        return index
