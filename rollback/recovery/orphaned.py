"""An archive and nothing else: rollback.toml and the public key of a checkout that is gone, put back from the archive.

An archive that brings its own key proves nothing by it: anybody can make one. So the key's fingerprint is told, and
somebody who knows it from elsewhere (`rollback backup full` says it each time) has to name it.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rollback import private, settings
from rollback.archive.container import Reader
from rollback.archive.manifest import KEY
from rollback.archive.shelf import Full
from rollback.archive.take import SETTINGS
from rollback.archive.verify import Members
from rollback.database.backup.shelf import write
from rollback.database.backup.signing import Keys, Untrue, same_fingerprint
from rollback.outcome import Refused, UsageError
from rollback.parts import files
from rollback.settings import FILE

__all__ = ["put_back"]


def put_back(root: Path, name: str | None, fingerprint: str | None, *, touch: bool) -> list[str]:
    """Put back what is missing of the two, if the archive's key is the one that was named; says what was put back.

    Args:
        root: the checkout, or an empty folder.
        name: the archive's file.
        fingerprint: of the key that is to be believed.
        touch: False: nothing may be written, not even this.

    Raises:
        UsageError: no file was named.
        Refused: the key was not named, is another one, or the archive is not whole.
    """
    if not (root / FILE).is_file():
        return _both(root, _orphan(root, name), fingerprint, touch=touch)
    keys = Keys(root / settings.load(root).backup.signing_key)
    if keys.public_path.is_file() or name is None or not (root / name).is_file():
        return []
    one = _Orphan(root / name)
    one.believed(fingerprint, str(keys.public_path), touch=touch)
    return [_key(keys, one)]


def _orphan(root: Path, name: str | None) -> _Orphan:
    if name is None:
        raise UsageError(
            f"There is no {FILE} in {root}.",
            "go to the checkout (-C FOLDER); if it is gone, name the archive's file: `rollback recover FILE`",
        )
    if not (root / name).is_file():
        raise UsageError(f"There is no {FILE} in {root}, and no file {name}.", "name the archive by its path")
    return _Orphan(root / name)


def _both(root: Path, one: _Orphan, fingerprint: str | None, *, touch: bool) -> list[str]:
    one.believed(fingerprint, str(root / FILE), touch=touch)
    content, mode = one.settings()
    files.write(root / FILE, content, mode=mode)
    keys = Keys(root / settings.load(root).backup.signing_key)
    return [FILE, *([] if keys.public_path.is_file() else [_key(keys, one)])]


def _key(keys: Keys, one: _Orphan) -> str:
    private.folder(keys.public_path.parent)
    write(keys.public_path, one.key())
    return str(keys.public_path)


@dataclass(frozen=True)
class _Orphan:
    """An archive of which nothing but its own word is known."""

    path: Path

    def key(self) -> bytes:
        """The public key that it brings, as a key file holds it.

        Raises:
            Refused: it brings none, or is no archive.
        """
        try:
            return Reader(self.path).small(KEY)
        except Untrue as why:
            raise Refused(
                f"{self.path} cannot stand for a checkout that is gone: {why}.",
                f"put {FILE} and the public key back from where they are kept",
            ) from None

    def believed(self, fingerprint: str | None, gone: str, *, touch: bool) -> None:
        """Return if it is whole, and signed by the key that was named.

        Raises:
            Refused: it is not, or no key was named; with the fingerprint of its own.
        """
        with tempfile.TemporaryDirectory(prefix="rollback-") as room:
            keys = self._keys(Path(room))
            ours = keys.fingerprint()
            if fingerprint is None or not touch:
                raise Refused(
                    f"{gone} is gone; {self.path} brings one, and says that the key {ours} signed it.",
                    "compare that with what `rollback backup full` said of its key; if it is the same, repeat this"
                    f" without --plan and with `--fingerprint {ours}`",
                )
            if not same_fingerprint(fingerprint, ours):
                raise Refused(
                    f"{self.path} is signed by the key {ours}, not by {fingerprint}.", "look for the right archive"
                )
            self._whole(keys)

    def _keys(self, room: Path) -> Keys:
        keys = Keys(room / "archive.key")
        keys.public_path.write_bytes(self.key())
        return keys

    def _whole(self, keys: Keys) -> Full:
        full = Full(self.path, keys)
        try:
            full.reader().same(full.manifest().members)
        except Untrue as why:
            raise Refused(f"{self.path} is refused: {why}.", "name another one") from None
        return full

    def settings(self) -> tuple[str, int]:
        """The content of its rollback.toml, and its mode; only of one that is believed.

        Raises:
            Refused: it is sealed.
        """
        with tempfile.TemporaryDirectory(prefix="rollback-") as room:
            full = self._whole(self._keys(Path(room)))
            if full.manifest().sealed:
                raise Refused(
                    f"{FILE} lies sealed in {self.path}.",
                    f"put {FILE} back from where it is kept: it names the file of the private key (`identity_file`)",
                )
            members = Members(full.manifest(), full.reader())
            return self._told(members)

    def _told(self, members: Members) -> tuple[str, int]:
        records = members.records()
        for one in (one for one in records.groups.get(SETTINGS, ()) if one.path == FILE and one.link is None):
            content = members.small(records.members[FILE])
            if hashlib.sha256(content).hexdigest() == one.sha256:
                return content.decode(), one.mode
        raise Refused(f"{self.path} holds no {FILE}.", "put it back from where it is kept")
