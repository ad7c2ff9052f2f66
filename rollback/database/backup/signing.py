"""Signed statements: what this deployment has said, and nobody has changed since.

A hash beside a file finds a disk that lies. It does not find a hand that changes both; a signature does. The private
key never leaves the deployment's state; a copy of the public one elsewhere lets a backup be checked without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Keys", "Untrue", "digest", "private_file", "same_fingerprint"]

_OTHERS = 0o077
#: Hexadecimal digits: nobody makes a second key with the same 128 bits.
_FINGERPRINT = 32


class Untrue(Exception):  # noqa: N818 -- says what the bytes are, not what went wrong
    """Bytes that are not, to the last one, what was signed; the text says why."""


def digest(raw: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are the same, however they are grouped; never where one is cut short."""
    plain, others = (text.replace(":", "").replace(" ", "").lower() for text in (one, other))
    return plain == others and len(plain) == _FINGERPRINT


def private_file(path: Path, what: str) -> bytes:
    """The content of a file that nobody but its owner may read.

    Raises:
        Refused: it is not there, or others may read it.
    """
    try:
        raw = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise Refused(
            f"{what} {path} cannot be read: {error.strerror}.", "put it there, or mend rollback.toml"
        ) from None
    if mode & _OTHERS:
        raise Refused(
            f"{what} {path} can be read by others (mode {mode & 0o777:04o}); only 0600 is accepted.",
            f"`chmod 600 {path}`, and think about who may have read it",
        )
    return raw


@dataclass(frozen=True)
class Keys:
    """The Ed25519 keys of one deployment: the private one at `path`, the public one beside it as *.pub."""

    path: Path

    @property
    def public_path(self) -> Path:
        """Where the public key is recorded."""
        return self.path.with_suffix(".pub")

    def made(self) -> Keys:
        """Itself, after a first key was made where there is none.

        Raises:
            Refused: the private half is gone: a new pair would make every backup so far unprovable without a word.
        """
        if not self.path.exists() and self.public_path.exists():
            raise Refused(f"The half {self.path} of the signing key is gone.", "put it back from where it is kept")
        if not self.path.exists():
            _write(self.path, Ed25519PrivateKey.generate().private_bytes_raw().hex())
        if not self.public_path.exists():
            # a kill between the two halves; the private one knows the other
            _write(self.public_path, self._private().public_key().public_bytes_raw().hex())
        return self

    def _private(self) -> Ed25519PrivateKey:
        raw = private_file(self.path, "The signing key")
        try:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw.decode("ascii").strip()))
        except ValueError:
            raise Failed(f"{self.path} holds no Ed25519 key.", "put it back from where it is kept") from None

    def sign(self, kind: str, body: dict[str, Any]) -> bytes:
        """A statement of a kind ("manifest", "verification" ...): one text, one signature.

        Raises:
            Refused: the key is not there, or readable by others.
        """
        signature = self._private().sign(_signed(kind, body)).hex()
        return _envelope(kind, body, signature)

    def read(self, kind: str, raw: bytes) -> dict[str, Any]:
        """What a statement says.

        Raises:
            Untrue: the bytes are not exactly a statement of that kind, signed by this deployment.
            Refused: the public key is not recorded here.
        """
        try:
            found = json.loads(raw)
            body, signature = found["body"], bytes.fromhex(found["signature"])
            exact = _envelope(kind, body, signature.hex()) == raw
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Untrue("it is not a signed statement") from None
        if not exact or not isinstance(body, dict):
            raise Untrue(f"it is not a {kind} in its one written form")
        try:
            self._public().verify(signature, _signed(kind, body))
        except InvalidSignature:
            raise Untrue("its signature is not that of this deployment") from None
        return body

    def fingerprint(self) -> str:
        """What tells this public key from all others, short enough to be compared by eye.

        Raises:
            Refused: it is not recorded here.
        """
        found = hashlib.sha256(self._public().public_bytes_raw()).hexdigest()[:_FINGERPRINT]
        return ":".join(found[at : at + 4] for at in range(0, _FINGERPRINT, 4))

    def _public(self) -> Ed25519PublicKey:
        try:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_path.read_text("ascii").strip()))
        except OSError:
            raise Refused(
                f"The public key {self.public_path} is not there, so no backup can be believed.",
                "put it back from where it is kept; without it, name a full backup's file: `rollback recover FILE`",
            ) from None
        except ValueError:
            raise Refused(f"{self.public_path} holds no Ed25519 key.", "put it back from where it is kept") from None


def _signed(kind: str, body: dict[str, Any]) -> bytes:
    return json.dumps(["rollback", kind, body], sort_keys=True, separators=(",", ":")).encode()


def _envelope(kind: str, body: dict[str, Any], signature: str) -> bytes:
    whole = {"kind": kind, "body": body, "signature": signature}
    return json.dumps(whole, sort_keys=True, indent=1).encode() + b"\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(f"{text}\n")
        out.flush()
        os.fsync(out.fileno())
