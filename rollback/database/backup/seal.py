"""Sealing files to age recipients, so that they stay what and where they were.

age authenticates the bytes of a file and neither its name nor what it belongs to: two sealed files that are swapped
both open. So the payload begins with the backup's id and the file's name, and opening asks for both.
Everything is streamed; a dump is never held in memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyrage

from rollback.database.backup.signing import Untrue, private_file
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "SUFFIX",
    "Identity",
    "Readable",
    "Recipient",
    "Writable",
    "identities",
    "open_file",
    "open_stream",
    "recipients",
    "seal_file",
    "seal_stream",
]

SUFFIX = ".age"
_MAGIC = b"rollback backup 1\n"
_LONGEST_HEADER = 4096

Recipient = Any  # pyrage's classes have no common base
Identity = Any


def recipients(keys: Sequence[str]) -> list[Recipient]:
    """The public keys of rollback.toml.

    Raises:
        UsageError: one of them is none, or there is none.
    """
    if not keys:
        raise UsageError("There is nobody to encrypt to.", "name age public keys in `recipients` of [backup]")
    try:
        return [pyrage.x25519.Recipient.from_str(key) for key in keys]
    except pyrage.RecipientError as error:
        raise UsageError(f"One of `backup.recipients` is no age public key: {error}.", "mend it (age1...)") from None


def identities(path: Path) -> list[Identity]:
    """The private keys of an identity file as age-keygen writes it.

    Raises:
        Refused: it is not there, others may read it, or it holds no key.
    """
    lines = private_file(path, "The identity file").decode(errors="replace").splitlines()
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise Refused(f"The identity file {path} holds no age private key.", "write one with `age-keygen -o FILE`")
    return found


def _header(backup: str, name: str) -> bytes:
    return _MAGIC + json.dumps({"backup": backup, "file": name}, sort_keys=True).encode() + b"\n"


@dataclass
class _Headed:
    """The header, then the file."""

    header: bytes
    file: Readable

    def read(self, size: int = -1) -> bytes:
        if self.header:
            part, self.header = (self.header, b"") if size < 0 else (self.header[:size], self.header[size:])
            return part
        return self.file.read(size)


@dataclass
class _Beheaded:
    """Takes the header off and holds it back for comparison; hashes the rest on its way out."""

    file: Writable
    header: bytes = b""
    whole: bool = False
    hash: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> int:
        rest = data if self.whole else self._behead(data)
        self.file.write(rest)
        self.hash.update(rest)
        self.size += len(rest)
        return len(data)

    def _behead(self, data: bytes) -> bytes:
        held = self.header + data
        end = held.find(b"\n", len(_MAGIC))
        if end < 0:
            self.header = held[: _LONGEST_HEADER + 1]
            if len(held) > _LONGEST_HEADER:
                raise OSError("no header")
            return b""
        self.header, self.whole = held[: end + 1], True
        return held[end + 1 :]

    def flush(self) -> None:
        self.file.flush()


class Readable(Protocol):
    """What a stream of bytes comes from."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes at most."""


class Writable(Protocol):
    """Where a stream of bytes goes."""

    def write(self, data: bytes, /) -> int:
        """All of them."""

    def flush(self) -> None:
        """On their way."""


def seal_file(source: Path, target: Path, *, backup: str, name: str, to: Sequence[Recipient]) -> None:
    """Encrypt a file; bound to the backup and the name under which it will be asked for."""
    with source.open("rb") as plain, target.open("xb") as sealed:
        seal_stream(plain, sealed, backup=backup, name=name, to=to)


def seal_stream(source: Readable, target: Writable, *, backup: str, name: str, to: Sequence[Recipient]) -> None:
    """The same for what comes and goes as a stream."""
    pyrage.encrypt_io(_Headed(_header(backup, name), source), target, list(to))


def open_file(source: Path, target: Path, *, backup: str, name: str, by: Sequence[Identity]) -> tuple[str, int]:
    """Decrypt a file and give back SHA-256 and size of what was in it.

    Raises:
        Untrue: none of the identities opens it, it was changed or cut, or it is another file or another backup's.
    """
    with source.open("rb") as sealed, target.open("xb") as plain:
        return open_stream(sealed, plain, backup=backup, name=name, by=by)


def open_stream(
    source: Readable, target: Writable, *, backup: str, name: str, by: Sequence[Identity]
) -> tuple[str, int]:
    """The same for what comes and goes as a stream; what has gone out before an error is to be thrown away."""
    out = _Beheaded(target)
    try:
        pyrage.decrypt_io(source, out, list(by))
    except (pyrage.DecryptError, OSError) as error:
        raise Untrue(f"it cannot be opened: {error}") from None
    if out.header != _header(backup, name):
        raise Untrue(f"inside it is {_told(out.header)}")
    return out.hash.hexdigest(), out.size


def _told(header: bytes) -> str:
    try:
        found = json.loads(header.removeprefix(_MAGIC))
        return f"the file {found['file']} of backup {found['backup']}"
    except (ValueError, KeyError, TypeError):
        return "something that was not sealed for a backup"
