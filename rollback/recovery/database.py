"""The database of a deployment that went down: kept if it is sound, set aside and restored if it is not.

Nothing is started on the only copy of a data directory: first it is copied, and the copy compared.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import progress
from rollback.archive.manifest import BACKUP
from rollback.database import server
from rollback.database.anew import Anew
from rollback.database.backup.desk import Desk
from rollback.database.backup.shelf import Backup
from rollback.database.backup.signing import Untrue
from rollback.database.backup.verify import Verifier
from rollback.outcome import Failed
from rollback.plan import Reading
from rollback.recovery.aside import Aside
from rollback.recovery.checkout import Checkout
from rollback.recovery.examination import SOUND, Examination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server
    from rollback.parts.volumes import Mounted
    from rollback.recovery.ground import Ground

__all__ = ["Database"]

GONE, ASKED = "gone", "asked"
_FOUND = "database.json"


@dataclass(frozen=True)
class Database:
    """One deployment's database in one recovery."""

    ground: Ground

    @property
    def _service(self) -> str:
        return self.ground.deployment.settings.database.service

    def volume(self) -> Mounted:
        """The volume with its data.

        Raises:
            Failed: it keeps them elsewhere.
        """
        found = [one for one in self.ground.mounted().values() if one.service == self._service]
        if len(found) != 1:
            raise Failed(
                f"`{self._service}` has {len(found)} named volumes, where one with its data is expected.",
                "restore it by hand: the backup in the archive is a pg_dump folder",
            )
        return found[0]

    @property
    def aside(self) -> Aside:
        """What is left of it, set aside."""
        one = self.volume()
        return Aside(self.ground, one.key, one.name, "database")

    @property
    def examination(self) -> Examination:
        """Of what is left of it."""
        return Examination(self.ground, self._backup_says)

    # examined

    @property
    def found(self) -> dict[str, Any]:
        """What was found; empty before."""
        return self.ground.noted(_FOUND) or {}

    @property
    def kept(self) -> bool:
        """Whether the database of before serves on: then nothing of it is lost."""
        return bool(self.found.get("state") == SOUND)

    def examined(self) -> Reading:
        """Whether it is known what is left."""
        found = self.found
        if self.kept and self.aside.has_copy():
            return Reading(holds=False, seen=f"{found['state']}; the copy {self.aside.kept} is still there")
        return Reading(bool(found), f"{found['state']}: {found['why']}" if found else "not examined yet")

    def examine(self) -> None:
        """Find out what is left of it, and write it down.

        Raises:
            Failed: that cannot be told; nothing is decided.
        """
        if self.found:  # and killed since
            self._tidied()
            return
        volumes, one = self.ground.volumes(), self.volume()
        there = volumes.there(one.name)
        if not there or volumes.empty(one.name):
            self._note(GONE, f"the volume {one.name} is {'empty' if there else 'not there'}")
            return
        self.aside.copy()
        state, why = (ASKED, "--everything was said") if self.ground.facts["everything"] else self.examination.judged()
        self._note(state, why)
        self._tidied()

    def _note(self, state: str, why: str) -> None:
        self.ground.note(_FOUND, {"state": state, "why": why})

    def _tidied(self) -> None:
        """A database that serves on needs no copy, which is as large as itself."""
        if self.kept:
            self.aside.drop_copy()

    def leave(self) -> None:
        """End what a killed examination has left running; the copy of what was not found sound stays."""
        self.examination.leave()
        self._tidied()

    def _backup_says(self) -> Manifest:
        raw = self.ground.members.small(f"{BACKUP}manifest.json")
        folder = self._laid({"manifest.json": raw})
        return Backup(folder, Desk.of(self.ground.deployment).shelf.keys).manifest()

    # set aside

    def is_aside(self) -> Reading:
        """Whether the way is free, and what was in it is kept."""
        found, one = self.found, self.volume()
        if found["state"] == SOUND:
            return Reading(holds=True, seen="nothing to set aside: it is kept")
        if found["state"] == GONE:
            return Reading(holds=True, seen="nothing was left")
        if not self.aside.is_aside:
            return Reading(holds=False, seen=f"{one.name} is still in its place")
        return Reading(holds=True, seen=f"kept in the volume {self.aside.kept}")

    def set_aside(self) -> None:
        """Remove the volume; what was in it lies in a copy that was compared. Containers that had it go as well."""
        self.aside.make_way()

    def put_back(self) -> None:
        """Let a database that was sound, and was set aside because somebody said so, serve again.

        One that was damaged stays aside: its copy is evidence, and the way is forward.

        Raises:
            Failed: it could not be copied back; both copies are there.
        """
        if self.found.get("state") == ASKED:
            self.aside.put_back()

    # restored

    def restored(self) -> Reading:
        """Whether it is the archive's, or was kept."""
        if self.kept or not self.found:
            return Reading(self.kept, f"kept: {self.found['why']}" if self.kept else "not examined yet")
        with server.of_deployment(self.ground.deployment) as one:
            return Reading(*self._anew(one).restored(self.ground.archive.backup))

    def restore(self) -> None:
        """Restore it into the new cluster, and prove it equal to its manifest.

        A password of the archive that the files here have replaced would keep every service out.
        """
        passwords = Checkout(self.ground).passwords_as_archived()
        with (
            self._opened() as (manifest, folder),
            server.of_deployment(self.ground.deployment) as one,
            progress.watched(self._anew(one).so_far()),
        ):
            self._anew(one).restore(manifest, folder, passwords=passwords)

    def _anew(self, one: Server) -> Anew:
        return Anew(one, self.ground.deployment.settings.database.name)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Manifest, Path]]:
        """The archive's backup, believed by the archive's manifest."""
        desk, archive = Desk.of(self.ground.deployment), self.ground.archive
        desk.shelf.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.ground.folder / "backup" / archive.backup
        try:
            for name in (one.removeprefix(BACKUP) for one in archive.members if one.startswith(BACKUP)):
                (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with (folder / name).open("wb") as target:
                    self.ground.members.pour(f"{BACKUP}{name}", target)
        except Untrue as why:
            raise Failed(f"{self.ground.facts['file']}: {why}.", "name another archive") from None
        where = self.ground.deployment.settings.backup.identity_file
        identity = None if where is None else (self.ground.deployment.root / where).expanduser()
        verifier = Verifier(desk.deployment.engine, desk.shelf, lambda _: archive.backup_manifest, identity)
        with verifier.opened(Backup(folder, desk.shelf.keys)) as found:
            yield found

    def _laid(self, content: dict[str, bytes]) -> Path:
        folder = self.ground.folder / "backup" / self.ground.archive.backup
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, raw in content.items():
            (folder / name).write_bytes(raw)
        return folder
