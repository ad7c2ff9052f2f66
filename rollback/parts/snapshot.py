"""A set of recorded parts outside of a release: taken by name, and compared with another one or with what is there."""

from __future__ import annotations

import difflib
import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.outcome import Refused
from rollback.parts import files
from rollback.release import Release, Shelf, check_name, groups, nothing_revoked
from rollback.secrets import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment
    from rollback.parts.files import FileRecord

__all__ = ["Change", "Snapshot", "Snapshots", "differences"]

_MANIFEST = "manifest.json"
#: Groups of which a difference shows no text: keys of variables and private keys.
_ENVIRONMENT, _CLOSED = "environment", ("certificates",)
_ENV = ".env"


@dataclass(frozen=True)
class Snapshot:
    """Files by group, and where their copies lie.

    Attributes:
        taken: UTC, ISO 8601.
    """

    name: str
    taken: str
    files: dict[str, list[FileRecord]]
    store: Path


@dataclass(frozen=True)
class Change:
    """One file that is not the same in both.

    Attributes:
        what: `added`, `gone`, or what differs of it: content, mode, owner.
        lines: how its text differs, if it may be shown.
    """

    group: str
    path: str
    what: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshots:
    """Those of one deployment."""

    deployment: Deployment

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.deployment.state / "snapshots"

    def all(self) -> list[Snapshot]:
        """Oldest first."""
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [self._read(one) for one in there if not one.name.startswith(".")]
        return sorted(found, key=lambda one: one.taken)

    def take(self, name: str) -> Snapshot:
        """Record the parts as they are now.

        Raises:
            UsageError: the name cannot be one.
            Refused: there is a snapshot, or a release, of that name.
        """
        check_name(name)
        target = self.folder / name
        if target.exists() or (Shelf(self.deployment).folder / name).exists():
            raise Refused(f"There is a snapshot or a release {name} already.", "choose another name")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # under its name it is whole; what was renamed cannot be cleaned up
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder, ignore_cleanup_errors=True) as new:
            self.write(self._captured(name, Path(new)))
            Path(new).rename(target)
        return self._read(target)

    def write(self, taken: Snapshot) -> None:
        """Its manifest, beside its files."""
        listed = {group: [one.as_json() for one in some] for group, some in taken.files.items()}
        text = json.dumps({"name": taken.name, "taken": taken.taken, "files": listed}, indent=1) + "\n"
        files.write(taken.store.parent / _MANIFEST, text, mode=0o600)

    def _captured(self, name: str, folder: Path) -> Snapshot:
        store, root = folder / "files", self.deployment.root
        found = {group: files.capture(root, names, store) for group, names in groups(self.deployment).items()}
        return Snapshot(name, datetime.now(UTC).isoformat(timespec="milliseconds"), found, store)

    def get(self, name: str) -> Snapshot:
        """A snapshot, or the files of a release, by name.

        Raises:
            Refused: there is neither; it says which there are.
        """
        check_name(name)
        if (self.folder / name).is_dir():
            return self._read(self.folder / name)
        if (Shelf(self.deployment).folder / name).is_dir():
            release = Shelf(self.deployment).get(name)
            return Snapshot(name, release.recorded, release.files, release.store)
        known = ", ".join([one.name for one in self.all()] + [one.version for one in Shelf(self.deployment).all()])
        raise Refused(f"There is no snapshot and no release {name}; there are: {known or 'none'}.", "name one of those")

    def has(self, name: str) -> bool:
        """Whether there is a snapshot of this name."""
        check_name(name)
        return (self.folder / name).is_dir()

    def whole(self, name: str) -> Release:
        """A snapshot as something to go back to: a release of which only the files are known.

        Raises:
            Refused: it cannot be read, its copies are not what was taken, or it has a secret that was revoked.
        """
        one = self._read(self.folder / name)
        for group in one.files.values():
            files.verify_store(group, one.store)
        nothing_revoked(self.deployment, name, one.files, one.store)
        return Release(
            version=name,
            recorded=one.taken,
            folder=self.folder / name,
            images={},
            files=one.files,
            migration_head="",
            migrations=[],
            works_with=[],
            commit=None,
            bad=None,
        )

    @contextmanager
    def now(self) -> Iterator[Snapshot]:
        """What is there now, for as long as the block runs."""
        with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
            yield self._captured("now", Path(folder))

    def _read(self, folder: Path) -> Snapshot:
        try:
            raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            found = {group: [files.FileRecord(**one) for one in some] for group, some in raw["files"].items()}
            return Snapshot(raw["name"], raw["taken"], found, folder / "files")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"The snapshot {folder.name} cannot be read: {error}.", "remove its folder") from None


def differences(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Every file that is not the same; no value of an env file and nothing of a key is in it."""
    for group in dict.fromkeys([*before.files, *after.files]):
        then = {one.path: one for one in before.files.get(group, [])}
        now = {one.path: one for one in after.files.get(group, [])}
        for path in sorted(then.keys() | now.keys()):
            if path not in then or path not in now:
                yield Change(group, path, "added" if path in now else "gone")
            elif what := _what(then[path], now[path]):
                yield Change(group, path, what, _lines(group, before.store / path, after.store / path))


def _what(then: FileRecord, now: FileRecord) -> str:
    told = ["content"] if (then.sha256, then.link) != (now.sha256, now.link) else []
    told += [f"mode {then.mode:04o} -> {now.mode:04o}"] if then.mode != now.mode else []
    told += (
        [f"owner {then.uid}:{then.gid} -> {now.uid}:{now.gid}"] if (then.uid, then.gid) != (now.uid, now.gid) else []
    )
    return ", ".join(told)


def _lines(group: str, then: Path, now: Path) -> tuple[str, ...]:
    if group in _CLOSED:
        return ()
    # a stack of its own has its env file among its other files
    variables = group == _ENVIRONMENT or _ENV in (then.suffix, then.name)
    before, after = (_text(one, keys_only=variables) for one in (then, now))
    if variables:
        return tuple(_keys(before, after, then, now))
    return tuple(one.rstrip("\n") for one in difflib.unified_diff(before, after, n=1))[2:]


def _text(path: Path, *, keys_only: bool) -> list[str]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [one.partition("=")[0].strip() for one in lines if "=" in one] if keys_only else lines


def _keys(before: list[str], after: list[str], then: Path, now: Path) -> Iterator[str]:
    values = [dict(_pairs(one)) for one in (then, now)]
    for key in dict.fromkeys([*before, *after]):
        if key not in before:
            yield f"+{key}={MASK}"
        elif key not in after:
            yield f"-{key}={MASK}"
        elif values[0].get(key) != values[1].get(key):
            yield f"~{key}={MASK}"


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for one in lines:
        key, sign, value = one.partition("=")
        if sign:
            yield key.strip(), value
