"""The files of the checkout and the images: back as the archive has them, and what they replace is kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rollback import commands
from rollback.archive.manifest import IMAGES
from rollback.archive.take import RELEASES, SETTINGS
from rollback.database.backup.signing import Untrue
from rollback.outcome import Failed
from rollback.parts import files, images
from rollback.parts.files import FileRecord
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rollback.recovery.ground import Ground

__all__ = ["Checkout", "Pictures"]

#: Groups of files that say passwords.
_PASSWORDS = ("environment", "compose")


@dataclass(frozen=True)
class Checkout:
    """The files."""

    ground: Ground

    @property
    def _root(self) -> Path:
        return self.ground.deployment.root

    @property
    def _store(self) -> Path:
        return self.ground.folder / "archive"

    @cached_property
    def wanted(self) -> list[FileRecord]:
        """What is to be as recorded: the application's files if they come from the archive; our own that are gone.

        Raises:
            Failed: the archive's list cannot be believed.
        """
        groups = self._records()
        found = [one for name in groups if name not in (SETTINGS, RELEASES) for one in groups[name]]
        if self.ground.from_archive:
            return [*found, *self._gone(groups.get(SETTINGS, ())), *self._gone(groups.get(RELEASES, ()))]
        return self._gone(groups.get(RELEASES, ()))

    def passwords_as_archived(self) -> bool:
        """Whether the files by which Compose makes a database are those of the archive, kept or put back."""
        groups = self._records()
        return not files.differing(self._root, [one for name in _PASSWORDS for one in groups.get(name, ())])

    def _gone(self, records: Iterable[FileRecord]) -> list[FileRecord]:
        return [one for one in records if not (self._root / one.path).exists()]

    def _records(self) -> dict[str, list[FileRecord]]:
        try:
            found = self.ground.members.records()
        except Untrue as why:
            raise Failed(f"{self.ground.facts['file']}: {why}.", "name another archive") from None
        records = {name: [FileRecord(**one.model_dump()) for one in some] for name, some in found.groups.items()}
        for one in (one for some in records.values() for one in some):
            self._inside(one.path)
        return records

    def _inside(self, path: str) -> None:
        """A folder that is a link must not lead a file out of the checkout."""
        if not (self._root / path).parent.resolve().is_relative_to(self._root.resolve()):
            raise Failed(f"{path} would be written outside of the checkout.", "look at the links above it")

    def differing(self) -> list[str]:
        """The paths that are not as in the archive."""
        return files.differing(self._root, self.wanted)

    def reading(self) -> Reading:
        """Whether all are as in the archive."""
        found = self.differing()
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004 -- shown
        told = (
            f"{', '.join(found[:3])}{more} differ or are gone"
            if found
            else (f"{len(self.wanted)} files as archived" if self.wanted else "kept as they lie here")
        )
        return Reading(not found, told)

    def put_back(self) -> None:
        """Write those that differ, each by a rename."""
        names = set(self.differing())
        wanted = [one for one in self.wanted if one.path in names]
        where = self.ground.members.records().members
        for one in wanted:
            if one.link is None:
                kept = self._store / one.path
                kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                kept.unlink(missing_ok=True)
                kept.touch(mode=0o600)
                kept.write_bytes(self.ground.members.small(where[one.path]))
        files.restore(self._root, wanted, self._store)


@dataclass(frozen=True)
class Pictures:
    """The images."""

    ground: Ground

    def wrong(self) -> dict[str, str]:
        """Names that lead to another image than in the archive, or to none -> the archive's ID."""
        wanted = {name: one.id for one in self.ground.archive.images for name in one.names}
        there = self.ground.deployment.image_ids(set(wanted))
        return {name: image for name, image in wanted.items() if there[name] != image}

    def reading(self) -> Reading:
        """Whether all are at hand under all their names."""
        wrong, count = sorted(self.wrong()), len(self.ground.archive.images)
        told = f"{len(wrong)} names lead elsewhere or nowhere, the first: {wrong[0]}" if wrong else f"{count} at hand"
        return Reading(not wrong, told)

    def load(self) -> None:
        """Load them; an image that loses its name by that keeps one of ours.

        Raises:
            Failed: the engine has other IDs for them afterwards.
        """
        self._keep_names()
        engine = self.ground.deployment.engine
        try:
            with engine.inflow(commands.load_images()) as target:
                self.ground.members.pour(IMAGES, target)
        except Untrue as why:
            raise Failed(f"{self.ground.facts['file']}: {why}.", "name another archive") from None
        for name, image in self.wrong().items():
            engine.ask(commands.tag(image, name))

    def _keep_names(self) -> None:
        deployment = self.ground.deployment
        services = {name: one.service for one in self.ground.archive.images for name in one.names}
        for name in self.wrong():
            before = deployment.image_id(name)
            if before is not None:
                kept = images.keep_name(deployment.project, services[name], f"before-{self.ground.run}")
                deployment.engine.ask(commands.tag(before, kept))

    def names_back(self) -> None:
        """Let the names lead where they led before."""
        for name, image in self.ground.facts["names"].items():
            if image is not None:
                self.ground.deployment.engine.ask(commands.tag(image, name))
