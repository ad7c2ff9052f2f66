"""A part that is a tree of files: put back as recorded, what was added set aside, and all of it taken back again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.parts import files
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rollback.parts.files import FileRecord

__all__ = ["Tree"]


@dataclass(frozen=True)
class Tree:
    """The files of one part in a checkout, against those of a release.

    Attributes:
        root: the checkout.
        names: files and folders that are the part.
        spared: files in them that are no part of it: they say what runs now.
        records: the files of the release.
        store: where their copies lie.
        aside: where files go that the release does not have.
    """

    root: Path
    names: Sequence[str]
    spared: Sequence[str]
    records: Sequence[FileRecord]
    store: Path
    aside: Path

    def wanted(self) -> list[FileRecord]:
        """The records that are put back."""
        return [one for one in self.records if one.path not in self.spared]

    def differing(self) -> list[str]:
        """Files of the release that are not here as recorded."""
        return files.differing(self.root, self.wanted())

    def added(self) -> list[str]:
        """Files that are here, and not in the release."""
        known = {one.path for one in self.records} | {*self.spared}
        return [name for name in files.listed(self.root, self.names) if name not in known]

    def reading(self) -> Reading:
        """Whether the part is as recorded, and nothing else is in it."""
        wrong = [*(f"{name} differs" for name in self.differing()), *(f"{name} is not of it" for name in self.added())]
        return Reading(not wrong, "; ".join(wrong) or "as recorded")

    def laid_out(self, folder: Path) -> None:
        """The tree as it will be, in another folder: the release's files, and the spared ones as they are now."""
        files.restore(folder, self.wanted(), self.store)
        for name in self.spared:
            if (self.root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, folder / name)

    def put_back(self) -> None:
        """The release's files, each by a rename; what was added is moved aside, never deleted."""
        files.restore(self.root, self.wanted(), self.store)
        for name in self.added():
            (self.aside / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(self.root / name, self.aside / name)

    def take_back(self, before: Sequence[FileRecord], store: Path) -> None:
        """The files as they were before `put_back`."""
        was = {one.path for one in before}
        mine = [one for one in before if any(Path(one.path).is_relative_to(name) for name in self.names)]
        files.restore(self.root, [one for one in mine if one.path not in self.spared], store)
        for one in self.wanted():
            if one.path not in was:
                (self.root / one.path).unlink(missing_ok=True)
