"""The rungs that a full backup climbs before it is called proven. The first that does not hold ends it.

1. manifest: signed by this deployment; the journal knows it.
2. members: exactly those of the manifest, every byte hashed.
3. files: every file of the checkout is in it, with the content that its record says.
4. images: every image with every name is in it, by its ID.
5. volumes: each can be read to its end.
6. database: the backup in it is, to the byte, one that was restored into a scratch PostgreSQL and found equal.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from rollback.archive.manifest import BACKUP, IMAGES, RECORDS, parse_records
from rollback.database.backup.manifest import NAME
from rollback.database.backup.signing import Untrue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.archive.container import Reader
    from rollback.archive.manifest import Archive, Records
    from rollback.archive.shelf import Full, FullShelf
    from rollback.database.backup.shelf import Backup
    from rollback.database.backup.verify import Climb

__all__ = ["Members", "verify"]

_PART = 1 << 20
_LONGEST = 1 << 26


@dataclass(frozen=True)
class Members:
    """The members of an archive that was found whole, opened where they are sealed."""

    manifest: Archive
    reader: Reader

    def small(self, name: str) -> bytes:
        """The content of a member that fits into memory."""
        if self.manifest.members[name].content_size > _LONGEST:
            raise Untrue(f"{name} has {self.manifest.members[name].content_size} bytes")
        out = io.BytesIO()
        self.pour(name, out)
        return out.getvalue()

    def pour(self, name: str, target: IO[bytes]) -> None:
        """Stream a member's content out; see Reader.pour."""
        sealed = self.manifest.is_sealed(name)
        self.reader.pour(name, self.manifest.members[name], target, sealed=sealed)

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        """A member's content as something to read from; it is read to its end, and was what was put in."""
        inlet, outlet = os.pipe()
        troubles: list[BaseException] = []
        feeding = threading.Thread(target=self._feed, args=(name, outlet, troubles), name=name, daemon=True)
        feeding.start()
        try:
            with os.fdopen(inlet, "rb") as stream:
                yield stream
                while stream.read(_PART):
                    pass
        finally:
            feeding.join()
        if troubles:
            raise troubles[0]

    def _feed(self, name: str, outlet: int, troubles: list[BaseException]) -> None:
        try:
            with os.fdopen(outlet, "wb") as target:
                self.pour(name, target)
        except BaseException as trouble:  # noqa: BLE001 -- it is raised where the stream is read
            troubles.append(trouble)

    def records(self) -> Records:
        """The files of the checkout."""
        return parse_records(self.small(RECORDS))


def verify(shelf: FullShelf, full: Full, backup: Backup, climb: Climb) -> None:
    """Climb all rungs.

    Args:
        shelf: the folder that it lies in.
        full: what is to be proven.
        backup: the one that is in it, on the shelf of backups, where it was proven.
        climb: takes down each rung.

    Raises:
        Unproven: with the rung and the reason.
    """
    with climb.rung("manifest") as seen:
        found = full.manifest()
        seen.append(f"signed; {len(found.images)} images, {len(found.volumes)} volumes beside the database's")
    with climb.rung("members") as seen:
        seen.append(full.reader().same(found.members))
    members = Members(found, full.reader(shelf.identities()))
    with climb.rung("files") as seen:
        seen.append(_files(members))
    with climb.rung("images") as seen:
        seen.append(_images(members))
    with climb.rung("volumes") as seen:
        seen.append(_volumes(members))
    with climb.rung("database") as seen:
        seen.append(_database(members, backup))


def _files(members: Members) -> str:
    records = members.records()
    for group in records.groups.values():
        for one in group:
            if one.link is None:
                found = hashlib.sha256(members.small(records.members[one.path])).hexdigest()
                if found != one.sha256:
                    raise Untrue(f"{one.path} is not what its record says")
    return f"{sum(map(len, records.groups.values()))} files"


def _images(members: Members) -> str:
    wanted = {(name, one.id) for one in members.manifest.images for name in one.names}
    with members.stream(IMAGES) as stream:
        there = saved(stream)
    for name, image in sorted(wanted - there):
        raise Untrue(f"{name} is not in it as {image[:19]}")
    return f"{len({image for _, image in wanted})} images under {len(wanted)} names"


def saved(stream: IO[bytes]) -> set[tuple[str, str]]:
    """Name and ID of every image in what `docker image save` writes.

    Raises:
        Untrue: it is not that.
    """
    said: list[dict[str, Any]] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for one in tar:
                if one.name == "manifest.json" and (file := tar.extractfile(one)) is not None:
                    said = json.loads(file.read())
        return {
            (name, "sha256:" + str(one["Config"]).removeprefix("blobs/sha256/").removesuffix(".json"))
            for one in said
            for name in one["RepoTags"] or []
        }
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Untrue(f"the images cannot be read to their end: {error}") from None


def _volumes(members: Members) -> str:
    counts = []
    for one in members.manifest.volumes:
        with members.stream(one.member) as stream:
            counts.append(f"{one.key} {count(stream)} files")
    return ", ".join(counts) or "none"


def count(stream: IO[bytes]) -> int:
    """The number of plain files in a tar that is read to its end.

    Raises:
        Untrue: it cannot be.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            return sum(one.isreg() for one in tar)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Untrue(f"a volume cannot be read to its end: {error}") from None


def _database(members: Members, backup: Backup) -> str:
    found = backup.manifest()
    if not backup.proven():
        raise Untrue(f"the backup {backup.id} was never proven")
    if hashlib.sha256(backup.raw()).hexdigest() != members.manifest.backup_manifest:
        raise Untrue(f"the backup in it is not {backup.id}")
    suffix = ".age" if found.encrypted else ""
    wanted = {f"{BACKUP}{name}{suffix}": file.sha256 for name, file in found.files.items()}
    wanted[f"{BACKUP}{NAME}"] = members.manifest.backup_manifest
    there = {name: one.sha256 for name, one in members.manifest.members.items() if name.startswith(BACKUP)}
    for name in sorted(wanted.keys() ^ there.keys() | {one for one in wanted if wanted[one] != there.get(one)}):
        raise Untrue(f"{name} is not that of the backup {backup.id}")
    rows = sum(one.count for one in found.state.tables.values())
    return f"{backup.id}, restored and found equal: {len(found.state.tables)} tables, {rows} rows"
