"""The uploaded images: files in a volume that rows in the database speak of, kept and checked together."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from psycopg import sql

from rollback import commands
from rollback.database.backup.signing import Untrue
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.database.server import Connection
    from rollback.engine import Engine

__all__ = ["HASHES", "TAR", "Source", "Strays", "described", "kept", "listed", "rows", "strays"]

TAR, HASHES = "uploads.tar", "uploads.sha256"


class Columns(Protocol):
    """Where the database speaks of uploaded files.

    Attributes:
        table: with one row a file.
        name: its column with the file's path in the volume.
        sha256: its column with the SHA-256 of the content; empty where there is none.
    """

    @property
    def table(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class Source:
    """Where uploaded files lie (in `container`, in the folder `path`), and where the database speaks of them."""

    container: str
    path: str
    table: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Strays:
    """What does not fit between rows and files, by name."""

    without_file: list[str]
    without_row: list[str]
    changed: list[str]

    def __str__(self) -> str:
        return (
            f"{_told(self.without_file, 'rows without a file')}, {_told(self.without_row, 'files without a row')},"
            f" {_told(self.changed, 'files that are not what their row says')}"
        )


def _told(names: list[str], what: str) -> str:
    return f"{len(names)} {what}" + (f" (the first: {names[0]})" if names else "")


def kept(engine: Engine, source: Source, room: Path) -> dict[str, str]:
    """Stream the volume into a tar file without running anything in the service; the hashes lie beside it.

    Raises:
        Failed: it cannot be read.
    """
    argv = commands.copy_out(source.container, source.path)
    result = engine.save(argv, room / TAR, seconds=24 * 3600)
    if result.code != 0:
        raise Failed(f"The uploads in {source.path} cannot be read: {result.err.strip()}.", "see [backup.uploads]")
    try:
        found = described(room / TAR)
    except Untrue as why:
        raise Failed(f"The uploads in {source.path} came out broken: {why}.", "repeat it") from None
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(found.items()))
    (room / HASHES).write_text(lines, encoding="utf-8", errors="surrogateescape")
    return found


def listed(hashes: Path) -> dict[str, str]:
    """The list of files beside the tar."""
    lines = hashes.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    return {line[66:]: line[:64] for line in lines if line}


def described(tar: Path) -> dict[str, str]:
    """Every regular file in a tar with its SHA-256, the tar read to its end.

    Raises:
        Untrue: it is cut or is no tar.
    """
    try:
        # a tar cut between two members lacks its end mark, which tarfile alone lets pass
        with tarfile.open(tar, "r:", errorlevel=2) as archive:
            found = {_name(one): _hash(archive, one) for one in archive if one.isfile()}
            if archive.fileobj is not None and not _ended(archive):
                raise Untrue("the tar of the uploads has no end")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Untrue(f"the tar of the uploads cannot be read to its end: {error}") from None
    return found


def _ended(archive: tarfile.TarFile) -> bool:
    file: Any = archive.fileobj
    file.seek(archive.offset)
    rest = file.read()
    return len(rest) >= tarfile.BLOCKSIZE and not rest.strip(b"\0")


def _name(one: tarfile.TarInfo) -> str:
    return one.name.removeprefix("./")


def _hash(archive: tarfile.TarFile, one: tarfile.TarInfo) -> str:
    content = archive.extractfile(one)
    if content is None:
        raise Untrue(f"{one.name} is not in the tar of the uploads")
    found = hashlib.sha256()
    size = 0
    while part := content.read(1 << 20):
        found.update(part)
        size += len(part)
    if size != one.size:
        raise Untrue(f"{one.name} is cut in the tar of the uploads")
    return found.hexdigest()


def rows(connection: Connection, source: Columns) -> dict[str, str]:
    """What the database says is there: path in the volume -> SHA-256, empty where it says none."""
    table = sql.Identifier(*source.table.split("."))
    value = sql.Identifier(source.sha256) if source.sha256 else sql.Literal("")
    question = sql.SQL("SELECT {}, {} FROM {}").format(sql.Identifier(source.name), value, table)
    return {str(name): str(known or "") for name, known in connection.execute(question)}


def strays(said: dict[str, str], there: dict[str, str]) -> Strays:
    """Compare rows with files, both by name with hash."""
    return Strays(
        without_file=sorted(said.keys() - there.keys()),
        without_row=sorted(there.keys() - said.keys()),
        changed=sorted(name for name, known in said.items() if name in there and known not in ("", there[name])),
    )
