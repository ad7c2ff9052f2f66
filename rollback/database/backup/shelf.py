"""The shelf: the folder of backups. What has no manifest is not a backup; what a killed command left is swept."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import lock
from rollback.database.backup import manifest
from rollback.database.backup.manifest import ID, NAME, Manifest
from rollback.database.backup.signing import Keys, Untrue, digest
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["Backup", "Shelf", "patiently", "sync_folder", "write"]

_ROOM = ".room-"
_VERIFIED, _PINNED = "verified.json", "pinned.json"
#: Files that may lie in a backup without being part of it: statements about it.
BESIDE = (NAME, _VERIFIED, _PINNED)
_PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Backup:
    """One backup on the shelf, believed as far as its manifest can be."""

    folder: Path
    keys: Keys

    @property
    def id(self) -> str:
        """Its id: the name of its folder."""
        return self.folder.name

    def raw(self) -> bytes:
        """The bytes of the manifest.

        Raises:
            Untrue: there is none: it is not a backup.
        """
        path = self.folder / NAME
        if path.is_symlink() or not path.is_file():
            raise Untrue("it has no manifest: it is not a backup")
        return path.read_bytes()

    def manifest(self) -> Manifest:
        """The manifest, as it was signed.

        Raises:
            Untrue: it was changed, it is another backup's, or somebody else's.
        """
        found = manifest.parse(self.keys.read("manifest", self.raw()))
        if found.id != self.id:
            raise Untrue(f"it is the manifest of backup {found.id}")
        return found

    def verification(self) -> dict[str, Any] | None:
        """The last result of `verify`; None without one that is signed and speaks of this very manifest."""
        return self._statement("verification", _VERIFIED)

    def proven(self) -> bool:
        """Whether it was restored and found equal to its manifest."""
        found = self.verification()
        return found is not None and found.get("proven") is True

    def pinned(self) -> str | None:
        """Why it must stay; None when it need not. A pin that cannot be read pins."""
        if not (self.folder / _PINNED).exists():
            return None
        return str((self._statement("pin", _PINNED) or {}).get("reason", "the pin cannot be read"))

    def _statement(self, kind: str, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            return None
        try:
            found = self.keys.read(kind, path.read_bytes())
            return found if found.get("manifest") == digest(self.raw()) else None
        except Untrue:
            return None

    def record_verification(self, **said: Any) -> None:
        """Write the result of `verify` beside the manifest, bound to it and signed."""
        self._say("verification", _VERIFIED, said)

    def pin(self, reason: str) -> None:
        """Keep it until it is unpinned."""
        self._say("pin", _PINNED, {"reason": reason})

    def unpin(self) -> None:
        """Let `prune` decide again."""
        (self.folder / _PINNED).unlink(missing_ok=True)
        sync_folder(self.folder)

    def _say(self, kind: str, name: str, said: dict[str, Any]) -> None:
        body = {**said, "backup": self.id, "manifest": digest(self.raw())}
        write(self.folder / name, self.keys.sign(kind, body))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While it lasts nobody deletes it."""
        with _using(self.folder):
            yield

    def remove(self) -> None:
        """Delete it, its name first: killed in the middle, what is left is not a backup, and is swept.

        Raises:
            Refused: somebody verifies or restores it now.
        """
        if _in_use(self.folder):
            raise Refused(f"Backup {self.id} is in use.", "repeat it when that has ended")
        doomed = self.folder.with_name(f"{_ROOM}{self.id}")
        self.folder.rename(doomed)
        sync_folder(doomed.parent)
        shutil.rmtree(doomed)


@dataclass(frozen=True)
class Shelf:
    """The backups of one deployment."""

    folder: Path
    keys: Keys

    def all(self) -> list[Backup]:
        """Every folder that has a manifest, oldest first; whether it can be believed is another question."""
        if not self.folder.is_dir():
            return []
        found = [one for one in self.folder.iterdir() if ID.fullmatch(one.name) and (one / NAME).is_file()]
        return [Backup(one, self.keys) for one in sorted(found)]

    def get(self, name: str) -> Backup:
        """One backup by id, or `latest`.

        Raises:
            UsageError: the name is none.
            Refused: it is not there.
        """
        if name == "latest" and (there := self.all()):
            return there[-1]
        if name != "latest" and not ID.fullmatch(name):
            raise UsageError(f"{name!r} is no id of a backup.", "`rollback backup list` shows them; or say `latest`")
        backup = Backup(self.folder / name, self.keys)
        if not (backup.folder / NAME).is_file():
            raise Refused(f"There is no backup {name} in {self.folder}.", "`rollback backup list` shows what is there")
        return backup

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Alone on the shelf; users and other rollback commands go on. What killed commands left is swept."""
        with lock.held(self.folder / ".lock", what):
            self._sweep()
            yield

    def strays(self) -> list[str]:
        """Folders with the name of a backup and without a manifest: nobody believes them, and nobody deletes them."""
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(one.name for one in there if ID.fullmatch(one.name) and not (one / NAME).exists())

    def _sweep(self) -> None:
        """Only workrooms: a dump that has lost its manifest may be the last one there is."""
        for one in self.folder.iterdir():
            if one.is_dir() and one.name.startswith(_ROOM) and not _in_use(one):
                shutil.rmtree(one)

    @contextmanager
    def workroom(self) -> Iterator[Path]:
        """A private folder on the shelf's own disk, gone with the block; after a kill, with the next sweep."""
        made = tempfile.TemporaryDirectory(prefix=_ROOM, dir=self.folder, ignore_cleanup_errors=True)
        with made as folder, _using(self.folder / folder):
            yield self.folder / folder


@contextmanager
def _using(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _in_use(room: Path) -> bool:
    """Whether whoever made it still lives: the kernel drops the lock with its holder."""
    handle = os.open(room, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def patiently(lock_file: Path, what: str, *, seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the deployment's lock for an instant; a rollback that runs now is waited for.

    Raises:
        Refused: it is held for longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        while not _entered(stack, lock.held(lock_file, what), last=time.monotonic() >= deadline):
            time.sleep(_POLL_SECONDS)
        yield


def _entered(stack: ExitStack, holding: AbstractContextManager[None], *, last: bool) -> bool:
    try:
        stack.enter_context(holding)
    except Refused:
        if last:
            raise
        return False
    return True


def write(path: Path, raw: bytes) -> None:
    """A small private file, whole and on the disk when this returns."""
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(raw)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in a folder reach the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
