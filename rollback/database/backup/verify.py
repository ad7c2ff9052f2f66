"""The ladder that a backup climbs before anybody believes it. The first rung that does not hold ends it.

1. manifest: signed by this deployment, of this backup, and the one that the journal knows.
2. files: exactly those of the manifest, every byte hashed.
3. opened: sealed files open, and hold what they held.
4. archive: pg_restore and tar read everything to the end.
5. restored: into a scratch PostgreSQL that nobody can reach, roles and database settings too.
6. equal: schema, every table, sequences, grants, settings, roles and migrations as the manifest says.
7. sound: pg_amcheck finds every row in every index.
8. uploads: each row has its file and each file what its row says; only where uploads are included.

Nothing outside of a private workroom and a scratch server is touched.
"""

from __future__ import annotations

import errno
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollback.database.backup import restore, seal, state, uploads
from rollback.database.backup.shelf import BESIDE
from rollback.database.backup.signing import Untrue, digest
from rollback.database.backup.take import READ
from rollback.database.scratch import USER, scratch
from rollback.database.server import ended, run_alone
from rollback.engine import AWAY, CommandFailed
from rollback.outcome import Failed, Refused
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest, Uploads
    from rollback.database.backup.shelf import Backup, Shelf
    from rollback.database.server import Connection, Server
    from rollback.engine import Engine

__all__ = ["Climb", "Rung", "Unproven", "Verifier"]

_SHOWN = 3
#: What says nothing about the backup.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
#: The same in the words of docker and of PostgreSQL.
_SAID_BY_IT = (*AWAY, "no space left on device")


@dataclass(frozen=True)
class Rung:
    """A rung that held: its name, seconds, and what was seen."""

    name: str
    seconds: float
    seen: str


class Unproven(Refused):
    """A backup did not hold on a rung; nothing was touched.

    Attributes:
        rung: its name.
    """

    def __init__(self, backup: str, rung: str, reason: str) -> None:
        super().__init__(
            f"Backup {backup} is refused on the rung `{rung}`: {reason}.",
            "use another one (`rollback backup list`), keep this one as evidence, and find out what changed it",
        )
        self.rung, self.reason = rung, reason


@dataclass
class Climb:
    """The rungs that have held so far."""

    backup: str
    told: Callable[[Rung], None] = lambda _rung: None
    rungs: list[Rung] = field(default_factory=list)

    @contextmanager
    def rung(self, name: str) -> Iterator[list[str]]:
        """One rung; the block leaves a sentence in the list, or says why it does not hold.

        Raises:
            Unproven: it does not.
            Failed: whether it does cannot be told; nothing is said about the backup.
        """
        started, seen = time.monotonic(), list[str]()
        try:
            yield seen
        except (Untrue, CommandFailed) as error:
            if any(one in str(error).lower() for one in _SAID_BY_IT):
                raise Failed(f"The rung `{name}` could not be climbed: {error}", "mend that, then repeat it") from error
            raise Unproven(self.backup, name, str(error).rstrip(".")) from error
        except OSError as error:
            if error.errno in _OF_THE_MACHINE:
                raise Failed(f"The rung `{name}` could not be climbed: {error.strerror}.", "make room") from error
            raise Unproven(self.backup, name, f"{error.filename or 'a file'}: {error.strerror}") from error
        done = Rung(name, round(time.monotonic() - started, 3), "; ".join(seen))
        self.rungs.append(done)
        self.told(done)


@dataclass(frozen=True)
class Verifier:
    """Verifies backups of one shelf.

    Attributes:
        engine: the door to docker.
        shelf: where the backups are.
        recorded: the SHA-256 of a backup's manifest in the journal; None where the journal does not know it.
        identity: file of the age private keys; None: sealed backups are refused when they are to be opened.
        image: for the scratch server; empty: the image that the backup was taken with.
        told: hears of every rung as it holds.
    """

    engine: Engine
    shelf: Shelf
    recorded: Callable[[str], str | None]
    identity: Path | None = None
    image: str = ""
    told: Callable[[Rung], None] = lambda _rung: None

    @contextmanager
    def opened(self, backup: Backup, climb: Climb | None = None) -> Iterator[tuple[Manifest, Path]]:
        """A backup that has held on the first four rungs, with the folder of its plain files.

        Raises:
            Unproven: with the rung and the reason.
        """
        climb = climb or Climb(backup.id, self.told)
        manifest = self._manifest(backup, climb)
        with climb.rung("files") as seen:
            seen.append(_same_files(backup.folder, manifest))
        with ExitStack() as stack:
            folder = backup.folder
            if manifest.encrypted:
                folder = stack.enter_context(self.shelf.workroom())
                with climb.rung("opened") as seen:
                    seen.append(self._open(backup, manifest, folder))
            with climb.rung("archive") as seen:
                seen.append(self._read(folder, manifest))
            yield manifest, folder

    def quick(self, backup: Backup) -> Climb:
        """Climb as far as one can without a restore.

        Raises:
            Unproven: with the rung and the reason.
        """
        climb = Climb(backup.id, self.told)
        with self.opened(backup, climb):
            return climb

    def full(self, backup: Backup) -> Climb:
        """Climb to the top: what comes down from it is proven.

        Raises:
            Unproven: with the rung and the reason.
        """
        climb = Climb(backup.id, self.told)
        with self._in_scratch(backup, climb) as (server, manifest, folder):
            self._proven(server, climb, manifest, folder)
        return climb

    @contextmanager
    def restored(self, backup: Backup) -> Iterator[tuple[Server, Manifest]]:
        """A backup in a scratch PostgreSQL, equal to its manifest; it is gone with the block.

        Raises:
            Unproven: with the rung and the reason.
        """
        climb = Climb(backup.id, self.told)
        with self._in_scratch(backup, climb) as (server, manifest, _folder):
            with server.connect(manifest.database) as connection, climb.rung("equal") as seen:
                seen.append(_equal(server, connection, manifest))
            yield server, manifest

    @contextmanager
    def _in_scratch(self, backup: Backup, climb: Climb) -> Iterator[tuple[Server, Manifest, Path]]:
        with self.opened(backup, climb) as (manifest, folder), ExitStack() as stack:
            with climb.rung("restored") as seen:
                server = stack.enter_context(scratch(self.engine, self.image or manifest.image))
                restore.restore(server, folder)
                seen.append(f"into {server.image[:19]}")
            yield server, manifest, folder

    def _proven(self, server: Server, climb: Climb, manifest: Manifest, folder: Path) -> None:
        with server.connect(manifest.database) as connection:
            with climb.rung("equal") as seen:
                seen.append(_equal(server, connection, manifest))
            if manifest.uploads is not None:
                with climb.rung("uploads") as seen:
                    seen.append(_fitting(connection, manifest.uploads, folder))
        # it adds its extension, so it comes after the comparison
        with climb.rung("sound") as seen:
            restore.amcheck(server, manifest.database)
            seen.append("every row is in every index")

    def _manifest(self, backup: Backup, climb: Climb) -> Manifest:
        with climb.rung("manifest") as seen:
            found, known = backup.manifest(), self.recorded(backup.id)
            if known is None:
                raise Untrue("the journal of this deployment does not know it")
            if known != digest(backup.raw()):
                raise Untrue("it is not the manifest that the journal recorded when the backup was taken")
            seen.append(f"signed, and the journal knows it; {len(found.state.tables)} tables")
        return found

    def _open(self, backup: Backup, manifest: Manifest, folder: Path) -> str:
        if self.identity is None:
            raise Refused(f"{backup.id} is sealed and `identity_file` of [backup] names no private key.", "name one")
        keys = seal.identities(self.identity)
        (folder / "dump").mkdir(mode=0o700)
        for name, file in manifest.files.items():
            source = backup.folder / (name + seal.SUFFIX)
            try:
                got = seal.open_file(source, folder / name, backup=backup.id, name=name, by=keys)
            except Untrue as why:
                raise Untrue(f"{name}: {why}") from why
            if got != (file.content_sha256, file.content_size):
                raise Untrue(f"{name} does not hold what was sealed into it")
        return f"{len(manifest.files)} files opened"

    def _read(self, folder: Path, manifest: Manifest) -> str:
        result = run_alone(self.engine, self.image or manifest.image, READ, folder=folder, seconds=24 * 3600)
        ended(result, "pg_restore")
        if result.code != 0:
            raise Untrue(f"pg_restore cannot read it to its end: {result.err.strip() or result.code}")
        if manifest.uploads is None:
            return "read to its end"
        there = uploads.described(folder / uploads.TAR)
        if uploads.listed(folder / uploads.HASHES) != there or len(there) != manifest.uploads.count:
            raise Untrue("the tar of the uploads does not hold the files of its list")
        return f"read to its end, {len(there)} uploaded files"


def _same_files(folder: Path, manifest: Manifest) -> str:
    suffix = seal.SUFFIX if manifest.encrypted else ""
    expected = {name + suffix: file for name, file in manifest.files.items()}
    there = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_symlink() or not one.is_dir()}
    for name in sorted(there.keys() - expected.keys() - {*BESIDE}):
        raise Untrue(f"{name!r} is not in the manifest")
    for name, file in expected.items():
        path = there.get(name)
        if path is None:
            raise Untrue(f"{name} is missing")
        if path.is_symlink() or not path.is_file():
            raise Untrue(f"{name} is not a file of its own")
        if path.stat().st_size != file.size:
            raise Untrue(f"{name} has {path.stat().st_size} bytes, {file.size} were written")
        if sha256(path) != file.sha256:
            raise Untrue(f"{name} was changed after it was written")
    return f"{len(expected)} files, {manifest.size} bytes, every hash agrees"


def _equal(server: Server, connection: Connection, manifest: Manifest) -> str:
    after = state.read(server, connection, manifest.database, manifest.history)
    found = state.differences(manifest.state, after, without_role=USER)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise Untrue("; ".join(found[:_SHOWN]) + more)
    rows = sum(one.count for one in after.tables.values())
    return f"{len(after.tables)} tables, {rows} rows, {len(after.sequences)} sequences, schema, grants and roles"


def _fitting(connection: Connection, kept: Uploads, folder: Path) -> str:
    found = uploads.strays(uploads.rows(connection, kept), uploads.listed(folder / uploads.HASHES))
    missing = [name for name in found.without_file if name not in kept.deleted]
    if missing or found.changed:
        raise Untrue(str(found))
    return str(found)
