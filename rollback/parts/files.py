"""Files as parts: captured byte for byte with mode and owner, put back by rename in the same folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import asdict, dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import look
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["FileRecord", "capture", "differing", "records", "rehashed", "restore", "sha256", "verify_store"]


@dataclass(frozen=True)
class FileRecord:
    """One recorded file: path in the checkout, content hash, permission bits and owner.

    Attributes:
        link: where it leads to, if it is a symbolic link to something that is recorded as well, as certbot's are; its
            hash is that of this text. A link to elsewhere is recorded as the content that is behind it.
    """

    path: str
    sha256: str
    mode: int
    uid: int
    gid: int
    link: str | None = None

    def as_json(self) -> dict[str, str | int]:
        """For the manifest."""
        return asdict(self)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(root: Path, names: Iterable[str]) -> list[str]:
    """The files behind names of files and folders, as sorted paths in the checkout; absent names are absent."""
    found: set[str] = set()
    for name in names:
        path = root / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= {str(one.relative_to(root)) for one in inside if one.is_file() or one.is_symlink()}
    return sorted(found)


def _record(root: Path, name: str) -> FileRecord:
    stat = (root / name).stat()
    return FileRecord(name, sha256(root / name), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)


def records(root: Path, names: Iterable[str]) -> list[FileRecord]:
    """Files as they are now; nothing is copied."""
    return [_record(root, name) for name in names]


def _record_link(root: Path, name: str) -> FileRecord:
    stat, link = (root / name).lstat(), str((root / name).readlink())
    return FileRecord(name, _of_text(link), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid, link)


def _of_text(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _is_link(root: Path, name: str, found: Collection[str]) -> bool:
    """Whether it is kept as a link: what it leads to is among the found, or is not there at all."""
    path, base = root / name, Path(os.path.realpath(root))
    if not path.is_symlink():
        return False
    there = Path(os.path.realpath(path))
    if not there.exists():
        return True
    target = str(there.relative_to(base)) if there.is_relative_to(base) else ""
    return bool(target) and any(one == target or one.startswith(f"{target}/") for one in found)


def capture(root: Path, names: Iterable[str], store: Path) -> list[FileRecord]:
    """Copy files into the store, private to the owner, and return their records; see FileRecord for links."""
    records, found = [], listed(root, names)
    for name in found:
        if _is_link(root, name, found):
            records.append(_record_link(root, name))
        elif (root / name).is_file():
            kept = store / name
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _private(kept)
            shutil.copyfile(root / name, kept)
            records.append(_record(root, name))
    return records


def _private(path: Path) -> None:
    """An empty file for the owner alone: secrets written into it are at no time readable by others."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)


def rehashed(record: FileRecord, store: Path, *, mode: int) -> FileRecord:
    """The record of a kept copy that was changed on purpose, and gets other permission bits where it is put back."""
    return replace_fields(record, sha256=sha256(store / record.path), mode=mode)


def verify_store(records: Iterable[FileRecord], store: Path) -> None:
    """Prove that the kept copies are what was recorded.

    Raises:
        Refused: naming the first copy that is missing or changed.
    """
    for record in records:
        kept = store / record.path
        if record.link is not None:
            continue
        if not kept.is_file() or sha256(kept) != record.sha256:
            what = "changed" if kept.is_file() else "missing"
            raise Refused(f"The recorded copy of {record.path} in {store} is {what}.", "choose another release")


def differing(root: Path, records: Iterable[FileRecord]) -> list[str]:
    """The paths whose content, permission bits or (for root, who alone can mend it) owner are not as recorded."""
    return [one.path for one in records if not _is_as_recorded(root, one)]


def _is_as_recorded(root: Path, record: FileRecord) -> bool:
    path = root / record.path
    if record.link is not None:
        return path.is_symlink() and str(path.readlink()) == record.link
    if not path.is_file():
        return False
    now = _record(root, record.path)
    owner = (now.uid, now.gid) == (record.uid, record.gid) or os.geteuid() != 0
    return owner and (now.sha256, now.mode) == (record.sha256, record.mode)


def restore(root: Path, records: Iterable[FileRecord], store: Path) -> None:
    """Put the recorded files back, each by an atomic rename; content, mode and, as root, the owner."""
    for record in records:
        _restore_one(root / record.path, store / record.path, record)


def _restore_one(target: Path, kept: Path, record: FileRecord) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.rollback")
    if record.link is not None:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(record.link)
        with look.change():
            temporary.replace(target)
        return
    _private(temporary)
    shutil.copyfile(kept, temporary)
    temporary.chmod(record.mode)
    if os.geteuid() == 0:
        os.chown(temporary, record.uid, record.gid)
    replace(temporary, target)


def replace(temporary: Path, target: Path) -> None:
    """Rename into place, on the disk when it returns."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    with look.change():
        temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(target: Path, content: str, mode: int | None = None) -> None:
    """Write a file atomically, keeping the permission bits of the one it replaces.

    Bytes that are no UTF-8 are written as they were if they were read with `surrogateescape`.
    """
    bits = mode if mode is not None else (target.stat().st_mode & 0o7777 if target.exists() else 0o644)
    temporary = target.with_name(f".{target.name}.rollback")
    _private(temporary)
    temporary.write_bytes(content.encode("utf-8", "surrogateescape"))
    temporary.chmod(bits)
    replace(temporary, target)
