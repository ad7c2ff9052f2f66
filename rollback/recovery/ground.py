"""What every step of a recovery stands on: the archive, the folder of the run, and the deployment as it will be."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.archive.shelf import Full, FullShelf
from rollback.archive.verify import Members
from rollback.database import disposable
from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue
from rollback.outcome import Failed
from rollback.parts import files
from rollback.parts.volumes import Volumes, mounted

if TYPE_CHECKING:
    from rollback.archive.manifest import Archive
    from rollback.deployment import Deployment
    from rollback.parts.volumes import Mounted

__all__ = ["KEPT", "Ground", "known_as"]

#: The application is whole as it lies there: its files and images are kept.
KEPT = "kept"


def known_as(deployment: Deployment, project: str) -> Deployment:
    """The deployment under the project name that the archive has signed: its Compose files may be gone."""
    return replace(deployment, known=project)


@dataclass(frozen=True)
class Ground:
    """One recovery of one deployment.

    Attributes:
        facts: what the survey found; see rollback.procedures.recovery_survey.
    """

    deployment: Deployment
    facts: dict[str, Any]

    @property
    def run(self) -> str:
        """Its id."""
        return str(self.facts["run"])

    @property
    def folder(self) -> Path:
        """Where the run keeps what it has found, decided and saved."""
        return self.deployment.run_folder(self.run)

    @cached_property
    def archive(self) -> Archive:
        """The archive's manifest, if it is still the one of the plan.

        Raises:
            Failed: it is not.
        """
        found = self._believed()
        if found.id != self.facts["archive"]:
            raise Failed(f"{self.facts['file']} is another archive now: {found.id}.", "put the one of the plan back")
        return found

    @property
    def _full(self) -> Full:
        return Full(Path(self.facts["file"]), self._shelf.keys)

    @property
    def _shelf(self) -> FullShelf:
        return FullShelf(self.deployment, Desk.of(self.deployment).journal)

    def _believed(self) -> Archive:
        try:
            return self._full.manifest()
        except Untrue as why:
            raise Failed(f"{self.facts['file']} cannot be read any more: {why}.", "put it back as it was") from None

    @cached_property
    def members(self) -> Members:
        """What is in the archive."""
        return Members(self.archive, self._full.reader(self._shelf.identities()))

    @property
    def from_archive(self) -> bool:
        """Whether files and images come from the archive."""
        return bool(self.facts["application"] != KEPT)

    @property
    def model(self) -> dict[str, Any]:
        """What Compose makes of the files, once they are there."""
        return self.deployment.config(self.deployment.compose)

    def mounted(self) -> dict[str, Mounted]:
        """The named volumes of the deployment, by key."""
        return {one.key: one for one in mounted(self.model)}

    def volumes(self) -> Volumes:
        """A way to volumes, by an image that is here by now."""
        service = self.deployment.settings.database.service
        name = self.deployment.image_name(self.model, service)
        image = self.deployment.image_id(name)
        if image is None:
            raise Failed(f"The image {name} is not here.", "name the archive's: `rollback recover --everything`")
        return Volumes(self.deployment, image)

    def kept_volume(self, key: str) -> str:
        """The name under which what is left of a volume is set aside."""
        return f"{self.deployment.project}_kept-{self.run}_{key}"

    def freed(self, volume: str) -> None:
        """Have nobody hold a volume: containers of ours that do are removed.

        Raises:
            Failed: somebody else's does.
        """
        engine = self.deployment.engine
        disposable.sweep(engine)
        using = set(engine.ask(commands.containers(f"volume={volume}")).split())
        ours = {each.id: each for each in self.deployment.containers()}
        if using - ours.keys():
            raise Failed(f"{volume} is used by a container of another project.", "stop that one first")
        seconds = self.deployment.settings.timing.stop
        if running := sorted(one for one in using if ours[one].running):
            engine.ask(commands.stop(running, seconds=seconds), seconds=seconds + 60)
        if using:
            engine.ask(commands.remove(sorted(using)))

    def forget(self, name: str) -> None:
        """What was written down is not so any more."""
        (self.folder / name).unlink(missing_ok=True)

    def note(self, name: str, what: dict[str, Any]) -> None:
        """Write something down in the run's folder: what was decided must not be decided again after a kill."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(self.folder / name, json.dumps(what, indent=1, ensure_ascii=False) + "\n", mode=0o600)

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was written down; None where nothing was."""
        path = self.folder / name
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return found
