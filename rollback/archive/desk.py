"""What `rollback backup full` does: the database backed up and proven, all else beside it, and the whole proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.archive.shelf import FullShelf
from rollback.archive.take import Order, assemble
from rollback.archive.verify import verify
from rollback.database.backup.desk import Desk
from rollback.database.backup.shelf import patiently
from rollback.database.backup.verify import Climb
from rollback.parts.colours import blue_serves

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.archive.manifest import Archive
    from rollback.archive.shelf import Full
    from rollback.database.backup.verify import Rung
    from rollback.deployment import Deployment

__all__ = ["FullDesk"]


@dataclass(frozen=True)
class FullDesk:
    """The full backups of one deployment, as its operator has them.

    Attributes:
        told: hears of every rung as it holds.
        written: hears of every byte that goes into the file.
        dumped: told how many of the tables are dumped.
    """

    deployment: Deployment
    told: Callable[[Rung], None]
    written: Callable[[int], None]
    dumped: Callable[[int, int], None]

    @property
    def shelf(self) -> FullShelf:
        """Where they lie."""
        return FullShelf(self.deployment, Desk.of(self.deployment).journal)

    @property
    def provable(self) -> bool:
        """Whether what is sealed can be opened here."""
        return self.deployment.settings.backup.identity_file is not None

    def take(self, *, encrypt: bool, monitoring: bool) -> tuple[Full, bool]:
        """Take one and prove it; says whether it is proven: what is sealed to somebody else is not, here.

        Raises:
            Refused: another colour serves, images are not those that the Compose files name, a key is missing.
            Failed: something could not be read or written, or the deployment was changed meanwhile.
            Unproven: it did not hold on a rung; then it is there, and no recovery takes it by itself.
        """
        blue_serves(self.deployment)
        proving, desk, shelf = self.provable or not encrypt, Desk.of(self.deployment), self.shelf
        with shelf.held("backup full"):
            backup = desk.take(encrypt=encrypt, with_uploads=True, progress=self.dumped)
            with backup.in_use():
                if proving:
                    desk.verify(backup.id, quick=False, image="", told=self.told)
                full = assemble(shelf, Order(backup, encrypt, monitoring, self.written), self._announce)
                if proving:
                    self._prove(full, Climb(full.manifest().id, self.told), backup.id)
        return full, proving

    def _announce(self, found: Archive, manifest: str) -> None:
        desk = Desk.of(self.deployment)
        with patiently(desk.lock_file, "backup full"):
            self.shelf.note("taken", found.id, manifest=manifest, backup=found.backup, size=found.size)

    def _prove(self, full: Full, climb: Climb, backup: str) -> None:
        desk = Desk.of(self.deployment)
        verify(self.shelf, full, desk.shelf.get(backup), climb)
        full.prove(rungs=[one.name for one in climb.rungs])
        with patiently(desk.lock_file, "backup full"):
            self.shelf.note("proven", climb.backup)
