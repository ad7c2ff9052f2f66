"""What `rollback backup full` does: the database backed up and proven, all else beside it, and the whole proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.archive import room
from rollback.archive.shelf import FullShelf
from rollback.archive.take import Order, assemble
from rollback.archive.verify import verify
from rollback.database.backup.desk import Desk
from rollback.database.backup.shelf import patiently
from rollback.database.backup.signing import Untrue
from rollback.database.backup.verify import Climb
from rollback.parts.colours import blue_serves
from rollback.parts.volumes import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.archive.manifest import Archive
    from rollback.archive.shelf import Full
    from rollback.database.backup.verify import Rung
    from rollback.deployment import Deployment

__all__ = ["FullDesk"]

_PRUNE = "make room (`rollback backup prune`), or name a folder on another disk in [backup] of rollback.toml"
_PRUNE_FULL = "make room (`rollback backup prune --full`), or name a folder on another disk in [recovery]"


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
            Refused: another colour serves, images are not those that the Compose files name, a key is missing, or there
                is no room for it.
            Failed: something could not be read or written, or the deployment was changed meanwhile; half a file is
                never left.
            Unproven: it did not hold on a rung; then it is there, and no recovery takes it by itself.
        """
        blue_serves(self.deployment)
        proving, desk, shelf = self.provable or not encrypt, Desk.of(self.deployment), self.shelf
        with shelf.held("backup full"):
            room.enough(self._places())
            backup = desk.take(encrypt=encrypt, with_uploads=True, progress=self.dumped)
            with backup.in_use():
                if proving:
                    desk.verify(backup.id, quick=False, image="", told=self.told)
                full = assemble(shelf, Order(backup, encrypt, monitoring, self.written), self._announce)
                if proving:
                    self._prove(full, Climb(full.manifest().id, self.told), backup.id)
        return full, proving

    def _places(self) -> Iterator[room.Place]:
        """What will be written, and where; volumes of the monitoring stack are not measured beforehand."""
        deployment, uploads = self.deployment, self.deployment.settings.backup.uploads
        model = deployment.config(deployment.compose)
        ids = deployment.image_ids({deployment.image_name(model, one) for one in model["services"]}).values()
        mine = [one for one in mounted(model) if one.service != deployment.settings.database.service]
        dump = self._dump()
        volumes = sum(room.volume(deployment, one.service, one.target) for one in mine)
        files = room.volume(deployment, uploads.service, uploads.path)
        backup = {"database": dump, "uploads": files}
        yield room.Place("The backup of the database", Desk.of(deployment).shelf.folder, backup, _PRUNE)
        images = room.images(deployment.engine, [one for one in ids if one is not None])
        whole = {"images": images, "database": dump, "volumes": volumes}
        yield room.Place("The full backup", self.shelf.folder, whole, _PRUNE_FULL)

    def _dump(self) -> int:
        """Bytes of a dump, as the newest believed one had; else the most that it can be."""
        for one in reversed(Desk.of(self.deployment).shelf.all()):
            try:
                files = one.manifest().files
            except Untrue:
                continue
            return sum(file.size for name, file in files.items() if name.startswith("dump/"))
        return room.database(self.deployment)

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
