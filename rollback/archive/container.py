"""The file of a full backup: a tar whose members are streamed in, hashed on the way, described by the last of them.

Written for one reader, who believes nothing: he takes regular files under plain names, each once, a first member that
says which format this is, a last one that is a signed manifest, and nothing behind the end of the tar. No name from
the file ever becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from rollback.database.backup import seal
from rollback.database.backup.manifest import File
from rollback.database.backup.signing import Untrue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rollback.database.backup.seal import Identity, Readable, Recipient, Writable

__all__ = ["FORMAT", "MANIFEST", "MARK", "Reader", "Writer", "copied"]

#: Raised with each change after which an older version would read something else than was meant.
FORMAT = 1
MARK, MANIFEST = "spheroseg-full-backup.json", "manifest.json"
_WHAT = "full backup of a SpherosegV4 deployment"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]|/(?![./])){0,98}")
_PART = 1 << 20
_LONGEST_MANIFEST = 1 << 26
_LONGEST_MARK = 4096


def copied(source: Readable, target: Writable) -> None:
    """Everything, in parts: nothing large is ever held in memory."""
    while part := source.read(_PART):
        target.write(part)


def _named(name: str) -> str:
    """Itself.

    Raises:
        Untrue: it is none of ours: it leads somewhere, or is hidden.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise Untrue(f"{name[:80]!r} is no name of a member: nothing was unpacked")
    return name


@dataclass
class _Hashed:
    """Passes bytes on, and counts and hashes them; `into` them, or out of `source`."""

    source: Readable | None = None
    into: Writable | None = None
    told: Callable[[int], None] = lambda _count: None
    size: int = 0
    hash: Any = field(default_factory=hashlib.sha256)

    def _seen(self, data: bytes) -> bytes:
        self.size += len(data)
        self.hash.update(data)
        self.told(len(data))
        return data

    def write(self, data: bytes) -> int:
        if self.into is not None:
            self.into.write(self._seen(data))
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self._seen(self.source.read(size)) if self.source is not None else b""

    def flush(self) -> None:
        if self.into is not None:
            self.into.flush()


@dataclass
class Writer:
    """Writes one archive; the file has to be seekable, because a member's size is known only when it was streamed.

    Attributes:
        file: where to; empty.
        archive: its id, to which sealed members are bound.
        to: whom members are sealed to; empty: they are not.
        told: hears of every byte that was written, for the progress.
        members: what was written so far.
    """

    file: IO[bytes]
    archive: str
    to: Sequence[Recipient] = ()
    told: Callable[[int], None] = lambda _count: None
    members: dict[str, File] = field(default_factory=dict)

    def begin(self, by: str) -> None:
        """Say what this file is; first of all."""
        mark = {"what": _WHAT, "format": FORMAT, "archive": self.archive, "by": by}
        self._raw(MARK, json.dumps(mark, sort_keys=True).encode() + b"\n")

    def add(self, name: str, source: Readable, *, sealed: bool = True) -> None:
        """One member, streamed from `source` to its end.

        Args:
            name: how it will be asked for.
            source: its content.
            sealed: False for what is sealed already, or is to be read without a key.
        """
        if name in self.members:
            raise ValueError(f"{name} is in the archive already")
        start = self.file.tell()
        self.file.write(_header(_named(name), 0))
        out, content = _Hashed(into=self.file, told=self.told), _Hashed(source)
        if self.to and sealed:
            seal.seal_stream(content, out, backup=self.archive, name=name, to=self.to)
        else:
            copied(content, out)
        self._close(name, start, out.size)
        self.members[name] = File(
            size=out.size,
            sha256=out.hash.hexdigest(),
            content_size=content.size,
            content_sha256=content.hash.hexdigest(),
        )

    def withdraw(self, name: str) -> None:
        """Take the member that was added last out again: what it came from changed meanwhile."""
        if name != list(self.members)[-1]:
            raise ValueError(f"{name} is not the last member")
        blocks = -(-self.members.pop(name).size // tarfile.BLOCKSIZE) + 1
        self.file.seek(-blocks * tarfile.BLOCKSIZE, os.SEEK_CUR)
        self.file.truncate()

    def _close(self, name: str, start: int, size: int) -> None:
        self.file.write(b"\0" * (-size % tarfile.BLOCKSIZE))
        end = self.file.tell()
        self.file.seek(start)
        self.file.write(_header(name, size))
        self.file.seek(end)

    def finish(self, manifest: bytes) -> None:
        """The manifest, last; then everything is on the disk."""
        self._raw(MANIFEST, manifest)
        self.file.write(b"\0" * 2 * tarfile.BLOCKSIZE)
        self.file.flush()
        os.fsync(self.file.fileno())

    def _raw(self, name: str, content: bytes) -> None:
        self.file.write(_header(name, len(content)) + content + b"\0" * (-len(content) % tarfile.BLOCKSIZE))


def _header(name: str, size: int) -> bytes:
    one = tarfile.TarInfo(name)
    one.size, one.mode = size, 0o600
    raw = one.tobuf(tarfile.GNU_FORMAT)
    if len(raw) != tarfile.BLOCKSIZE:
        raise ValueError(f"{name} needs more than one header")
    return raw


@dataclass(frozen=True)
class Reader:
    """Reads an archive of which nothing is believed.

    Attributes:
        path: the file.
        by: private keys for sealed members.
        archive: its id, once the manifest has said it.
    """

    path: Path
    by: Sequence[Identity] = ()
    archive: str = ""

    def index(self) -> dict[str, tarfile.TarInfo]:
        """Every member by name, the file walked to its end.

        Raises:
            Untrue: it is not ours, of a newer format, cut, longer than it says, or holds what no archive holds.
        """
        try:
            with self.path.open("rb") as file, tarfile.open(fileobj=file, mode="r:", errorlevel=2) as tar:
                self._mark(tar, file)
                found = _walked(tar)
                _ended(file, tar.offset)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise Untrue(f"it is no tar that can be read to its end: {error or type(error).__name__}") from None
        if list(found)[-1] != MANIFEST:
            raise Untrue("it has no manifest at its end: it is cut, or was never finished")
        return found

    @cached_property
    def _known(self) -> dict[str, tarfile.TarInfo]:
        """Walked once: what comes out is compared with its hash whatever becomes of the file."""
        return self.index()

    def _mark(self, tar: tarfile.TarFile, file: IO[bytes]) -> None:
        try:
            first = tar.next()
        except (tarfile.TarError, EOFError, ValueError):
            first = None
        if first is None or first.name != MARK or not first.isreg() or first.size > _LONGEST_MARK:
            raise Untrue("it is not a full backup of ours: its first member is not the mark")
        file.seek(first.offset_data)
        try:
            said = json.loads(file.read(first.size))
            what, number = said["what"], int(said["format"])
        except (ValueError, KeyError, TypeError):
            raise Untrue("it is not a full backup of ours: its mark cannot be read") from None
        if what != _WHAT:
            raise Untrue(f"it is not a full backup of ours: it says {str(what)[:80]!r}")
        if number > FORMAT:
            by = str(said.get("by", "unknown"))[:40]
            raise Untrue(f"it is of format {number}, written by version {by}; this version reads up to {FORMAT}")

    def manifest(self) -> bytes:
        """The bytes of the manifest.

        Raises:
            Untrue: see `index`.
        """
        one = self.index()[MANIFEST]
        if one.size > _LONGEST_MANIFEST:
            raise Untrue(f"its manifest has {one.size} bytes")
        with self.path.open("rb") as file:
            file.seek(one.offset_data)
            return file.read(one.size)

    def small(self, name: str) -> bytes:
        """The bytes of a member as it lies there, before anything of the file is believed.

        Raises:
            Untrue: see `index`; or it is not there, or large.
        """
        one = self.index().get(name)
        if one is None or one.size > _LONGEST_MARK:
            raise Untrue(f"{name} is {'missing' if one is None else 'too large'}")
        with self._slice(one) as source:
            return source.read()

    def same(self, members: dict[str, File], told: Callable[[int], None] = lambda _count: None) -> str:
        """Whether it holds exactly these members, to the byte.

        Raises:
            Untrue: with the first member that is missing, strange or changed.
        """
        there = self.index()
        for name in sorted(there.keys() ^ (members.keys() | {MARK, MANIFEST})):
            raise Untrue(f"{name} is {'not in the manifest' if name in there else 'missing'}")
        for name, file in members.items():
            if there[name].size != file.size:
                raise Untrue(f"{name} has {there[name].size} bytes, {file.size} were written")
            with self._slice(there[name]) as source:
                hashed = _Hashed(source, told=told)
                _drained(hashed)
            if hashed.hash.hexdigest() != file.sha256:
                raise Untrue(f"{name} was changed after it was written")
        return f"{len(members)} members, {sum(one.size for one in members.values())} bytes, every hash agrees"

    @contextmanager
    def _slice(self, one: tarfile.TarInfo) -> Iterator[Readable]:
        with self.path.open("rb") as file:
            file.seek(one.offset_data)
            yield _Slice(file, one.size)

    def pour(self, name: str, file: File, target: Writable, *, sealed: bool) -> None:
        """Stream the content of one member out.

        Raises:
            Untrue: what came out is not what was put in; what has gone into `target` is to be thrown away.
        """
        there = self._known.get(name)
        if there is None:
            raise Untrue(f"{name} is missing")
        out = _Hashed(into=target)
        with self._slice(there) as source:
            if sealed:
                seal.open_stream(source, out, backup=self.archive, name=name, by=self.by)
            else:
                copied(source, out)
        if (out.size, out.hash.hexdigest()) != (file.content_size, file.content_sha256):
            raise Untrue(f"{name} does not hold what was put into it")


@dataclass
class _Slice:
    """So many bytes of a file and no more."""

    file: IO[bytes]
    left: int

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def _drained(source: _Hashed) -> None:
    while source.read(_PART):
        pass


def _walked(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for one in tar:
        if not one.isreg():
            raise Untrue(f"{one.name[:80]!r} is not a plain file: nothing was unpacked")
        if _named(one.name) in found:
            raise Untrue(f"{one.name} is in it twice")
        found[one.name] = one
    return found


def _ended(file: IO[bytes], offset: int) -> None:
    """A tar cut between two members lacks its end mark, which tarfile lets pass."""
    file.seek(offset)
    rest = file.read(3 * tarfile.BLOCKSIZE)
    if len(rest) != 2 * tarfile.BLOCKSIZE or rest.strip(b"\0"):
        raise Untrue("it has no end: it is cut, or something was written behind it")
