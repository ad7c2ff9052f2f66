"""What lies in volumes beside the database: put back where it is gone or asked for, kept elsewhere."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.archive.manifest import BACKUP
from rollback.database import server
from rollback.database.backup import seal, uploads
from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue
from rollback.outcome import Failed
from rollback.plan import Reading
from rollback.recovery.aside import Aside

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.archive.manifest import Volume
    from rollback.recovery.ground import Ground

__all__ = ["ASKED", "EMPTY", "GONE", "Filled", "Uploaded"]

#: Why a volume comes back from the archive.
GONE, EMPTY, ASKED = "it is gone", "it is empty", "as asked for, and what is in it is set aside"


@dataclass(frozen=True)
class Filled:
    """One volume that comes back as the archive has it: it is gone, empty, or somebody asked for it."""

    ground: Ground
    volume: Volume

    @property
    def _note(self) -> str:
        return f"filled-{self.volume.key}.json"

    @property
    def _aside(self) -> Aside:
        return Aside(self.ground, self.volume.key, self.volume.name, self.volume.key)

    @property
    def _asked(self) -> bool:
        return bool(self.ground.facts["fill"][self.volume.key] == ASKED)

    def reading(self) -> Reading:
        """Whether it is there, and was filled to the end."""
        if not self.ground.volumes().there(self.volume.name):
            return Reading(holds=False, seen=f"there is no volume {self.volume.name}")
        filled = self.ground.noted(self._note) is not None
        kept = f"; what was in it is kept in the volume {self._aside.kept}" if self._asked else ""
        return Reading(filled, f"as archived{kept}" if filled else "not filled from the archive")

    def fill(self) -> None:
        """Have Compose make it, with its labels, then stream the archive's content into it; nothing runs meanwhile.

        What was in it lies in a copy by then.
        """
        if self._asked:
            self._emptied()
        deployment, volumes = self.ground.deployment, self.ground.volumes()
        if self.volume.service:
            deployment.engine.ask(deployment.compose.create([self.volume.service]))
        elif not volumes.there(self.volume.name):
            deployment.engine.ask(commands.make_volume(self.volume.name, self.volume.labels))
        try:
            with volumes.into(self.volume.name) as target:
                self.ground.members.pour(self.volume.member, target)
        except Untrue as why:
            raise Failed(f"{self.ground.facts['file']}: {why}.", "name another archive") from None
        self.ground.note(self._note, {"volume": self.volume.name})

    def _emptied(self) -> None:
        if not self._aside.is_aside:
            self.ground.freed(self.volume.name)
            self._aside.copy()
        self._aside.make_way()

    def leave(self) -> None:
        """What was in it is in it again; half filled it goes otherwise, for it would look like one that was left."""
        if self._asked:
            self._aside.put_back()
            self.ground.forget(self._note)
            return
        volumes = self.ground.volumes()
        if self.ground.noted(self._note) is None and volumes.there(self.volume.name):
            self.ground.freed(self.volume.name)
            volumes.remove(self.volume.name)


@dataclass(frozen=True)
class Uploaded:
    """The uploaded files: whatever rows speak of is there; what rows do not speak of is left alone."""

    ground: Ground

    @property
    def _service(self) -> str:
        return self.ground.deployment.settings.backup.uploads.service

    def strays(self) -> uploads.Strays:
        """Rows without files, files without rows, files that are not what their row says; as it is now."""
        deployment = self.ground.deployment
        source, desk = Desk.of(deployment).uploads_source(), Desk.of(deployment)
        with desk.shelf.held("recover"), desk.shelf.workroom() as room:
            there = uploads.kept(deployment.engine, source, room)
        with (
            server.of_deployment(deployment) as one,
            one.connect(deployment.settings.database.name) as session,
        ):
            return uploads.strays(uploads.rows(session, source), there)

    def reading(self) -> Reading:
        """Whether what is missing or changed is nothing that the archive has."""
        if self.ground.noted("database.json") is None or not self.ground.deployment.serving(self._service):
            return Reading(holds=False, seen="not looked at yet")
        found = self.strays()
        mendable = self._mendable(found)
        seen = f"{found}" if mendable else f"{found}; the archive has no more of them"
        return Reading(not mendable, seen, {"files_without_row": len(found.without_row)})

    def _mendable(self, found: uploads.Strays) -> set[str]:
        ours = self._listed()
        return {name for name in (*found.without_file, *found.changed) if name in ours}

    def _member(self, name: str) -> str:
        suffix = seal.SUFFIX if f"{BACKUP}{name}{seal.SUFFIX}" in self.ground.archive.members else ""
        return f"{BACKUP}{name}{suffix}"

    def _plain(self, name: str) -> Path:
        """A file of the archive's backup, opened, in the folder of the run."""
        archive, folder = self.ground.archive, self.ground.folder / "uploads"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target, member = folder / name, self._member(name)
        if target.is_file():
            return target
        part = folder / f".{name}.part"
        part.unlink(missing_ok=True)
        try:
            if member.endswith(seal.SUFFIX):
                whole = folder / f".{name}{seal.SUFFIX}"
                with whole.open("wb") as sealed:
                    self.ground.members.pour(member, sealed)
                by = self.ground.members.reader.by
                seal.open_file(whole, part, backup=archive.backup, name=name, by=by)
                whole.unlink()
            else:
                with part.open("xb") as plain:
                    self.ground.members.pour(member, plain)
        except Untrue as why:
            raise Failed(f"{self.ground.facts['file']}: {why}.", "name another archive") from None
        part.replace(target)
        return target

    def _listed(self) -> dict[str, str]:
        return uploads.listed(self._plain(uploads.HASHES))

    def put_back(self) -> None:
        """Files that rows speak of and that are gone or changed, from the archive; all others stay as they are."""
        deployment = self.ground.deployment
        deployment.engine.ask(deployment.compose.create([self._service]))
        wanted = self._mendable(self.strays())
        if not wanted:
            return
        source = Desk.of(deployment).uploads_source()
        argv = commands.copy_in(source.container, source.path)
        with deployment.engine.inflow(argv) as target, tarfile.open(self._plain(uploads.TAR), "r:") as tar:
            out = tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT)  # noqa: SIM115 -- closed below
            for one in tar:
                if one.isdir() or (one.isreg() and one.name.removeprefix("./") in wanted):
                    out.addfile(one, tar.extractfile(one) if one.isreg() else None)
            out.close()
