"""The folder of full backups: which are there, which of them are proven, and which one a recovery may begin from."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import lock, private
from rollback.archive import manifest
from rollback.archive.container import Reader
from rollback.database.backup import seal
from rollback.database.backup.shelf import sync_folder, write
from rollback.database.backup.signing import Keys, Untrue, digest
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rollback.archive.manifest import Archive
    from rollback.database.backup.seal import Identity
    from rollback.deployment import Deployment
    from rollback.journal import Journal

__all__ = ["EVENT", "PART", "Chosen", "Full", "FullShelf"]

EVENT = "full backup"
PART, _PROOF = ".part-", ".proof.json"
_SUFFIX = ".tar"


@dataclass(frozen=True)
class Full:
    """One file, believed as far as its manifest can be."""

    path: Path
    keys: Keys

    def raw(self) -> bytes:
        """The bytes of its manifest.

        Raises:
            Untrue: the file is no whole archive.
        """
        return Reader(self.path).manifest()

    def manifest(self) -> Archive:
        """The manifest, as it was signed.

        Raises:
            Untrue: the file is no whole archive, or its manifest is not this deployment's.
        """
        return manifest.parse(self.keys.read("full backup", self.raw()))

    def reader(self, by: Sequence[Identity] = ()) -> Reader:
        """For its members."""
        return Reader(self.path, by, self.manifest().id)

    @property
    def _beside(self) -> Path:
        return self.path.with_name(self.path.name + _PROOF)

    def prove(self, **said: Any) -> None:
        """Write down, signed and bound to the manifest, that it was verified to the end."""
        write(self._beside, self.keys.sign("full verification", {**said, "manifest": digest(self.raw())}))

    def remove(self) -> None:
        """Delete it; the file first, because a proof without one proves nothing."""
        self.path.unlink()
        self._beside.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def proof(self) -> dict[str, Any] | None:
        """What its verification said; None without one that is signed and speaks of this very manifest."""
        if self._beside.is_symlink() or not self._beside.is_file():
            return None
        try:
            found = self.keys.read("full verification", self._beside.read_bytes())
            return found if found.get("manifest") == digest(self.raw()) else None
        except Untrue:
            return None


@dataclass(frozen=True)
class Chosen:
    """What a recovery begins from.

    Attributes:
        skipped: newer ones, each with the reason for which it is not this one.
        notes: what the operator has to know of it.
    """

    full: Full
    manifest: Archive
    skipped: list[str]
    notes: list[str]


@dataclass(frozen=True)
class FullShelf:
    """The full backups of one deployment."""

    deployment: Deployment
    journal: Journal

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.deployment.root / self.deployment.settings.recovery.folder

    @property
    def keys(self) -> Keys:
        """By which they are believed: those of the backups."""
        return Keys(self.deployment.root / self.deployment.settings.backup.signing_key)

    def identities(self) -> list[Identity]:
        """The private keys for what is sealed; none where rollback.toml names no file.

        Raises:
            Refused: the file cannot be used.
        """
        where = self.deployment.settings.backup.identity_file
        return [] if where is None else seal.identities((self.deployment.root / where).expanduser())

    def all(self) -> list[Full]:
        """Every file that may be one; in no order that means anything."""
        if not self.folder.is_dir():
            return []
        there = [one for one in self.folder.iterdir() if one.name.endswith(_SUFFIX) and not one.name.startswith(".")]
        return [Full(one, self.keys) for one in sorted(there)]

    def path(self, archive: str) -> Path:
        """Where a new one goes."""
        return self.folder / f"full-{archive}{_SUFFIX}"

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Alone on the shelf; what killed commands left is swept."""
        private.folder(self.deployment.state)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock.held(self.folder / ".lock", what):
            for one in self.folder.glob(f"{PART}*"):
                one.unlink()
            yield

    def recorded(self, archive: str) -> str | None:
        """The SHA-256 of a manifest as the journal has it; None where it does not know it."""
        for entry in self.journal.entries():
            if entry.event == EVENT and entry.data["did"] == "taken" and entry.data["archive"] == archive:
                return str(entry.data["manifest"])
        return None

    def named(self, name: str) -> Full:
        """One by its path, or by its id.

        Raises:
            UsageError: there is no such file.
        """
        there = [self.deployment.root / name, self.folder / name, self.path(name)]
        for one in there:
            if one.is_file():
                return Full(one, self.keys)
        known = ", ".join(one.path.name for one in self.all()) or "none"
        raise UsageError(f"There is no full backup {name}; in {self.folder} are: {known}.", "name a file or an id")

    def choose(self, name: str | None, told: Callable[[int], None] = lambda _count: None) -> Chosen:
        """The one that was named, or the newest that was proven and has not changed since by a single bit.

        How old one is, is what its signed manifest says; names and times of files count for nothing.

        Raises:
            Refused: the named one is not what it was; or none is, with the reason for each.
        """
        if name is not None:
            return self._named_one(self.named(name), told)
        doubts: list[str] = []
        for full, found in sorted(self._believed(doubts), key=lambda pair: pair[1].at, reverse=True):
            why = self._doubt(full, found, told)
            if not why:
                return Chosen(full, found, doubts, [])
            doubts.append(f"{full.path.name}: {why}")
        raise Refused(
            f"No full backup in {self.folder} is proven: {'; '.join(doubts) or 'there is none'}.",
            "name one that lies elsewhere: `rollback recover FILE`",
        )

    def _believed(self, doubts: list[str]) -> list[tuple[Full, Archive]]:
        found = []
        for one in self.all():
            try:
                found.append((one, one.manifest()))
            except Untrue as why:
                doubts.append(f"{one.path.name}: {why}")
        return found

    def _doubt(self, full: Full, found: Archive, told: Callable[[int], None]) -> str:
        """Why it cannot be the one; empty: it can."""
        try:
            known = self.recorded(found.id)
            if known != digest(full.raw()):
                return "the journal does not know it" if known is None else "its manifest is not the journal's"
            if full.proof() is None:
                return "it was never proven"
            if found.sealed and not self.identities():
                return "it is sealed, and `identity_file` of [backup] names no private key"
            full.reader().same(found.members, told)
        except Untrue as why:
            return str(why)
        return ""

    def _named_one(self, full: Full, told: Callable[[int], None]) -> Chosen:
        try:
            found = full.manifest()
            known = self.recorded(found.id)
            self._as_recorded(full, known)
            full.reader().same(found.members, told)
        except Untrue as why:
            raise Refused(
                f"{full.path} is refused: {why}.", "name another one, or none: then the newest proven one is taken"
            ) from None
        if found.sealed and not self.identities():
            raise Refused(f"{full.path} is sealed and `identity_file` of [backup] names no private key.", "name one")
        notes = [] if known else ["the journal of this deployment does not know it; its signature is this deployment's"]
        notes += [] if full.proof() else ["it was never proven: whether it can be restored will be seen"]
        return Chosen(full, found, [], notes)

    def _as_recorded(self, full: Full, known: str | None) -> None:
        if known not in (None, digest(full.raw())):
            raise Untrue("its manifest is not the one that the journal recorded")

    def note(self, did: str, archive: str, **data: object) -> None:
        """One entry in the journal; the caller holds the deployment's lock."""
        self.journal.append(
            "-", EVENT, did=did, archive=archive, summary=f"{did} {archive}", **json.loads(json.dumps(data))
        )
