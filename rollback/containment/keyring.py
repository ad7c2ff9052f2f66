"""The new secrets of a run, and env files in which they stand in the place of the old ones.

Values go from here into files of the owner's alone; none is printed, logged or part of a command.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from rollback.outcome import Refused
from rollback.parts import files
from rollback.secrets import names_a_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["KEEP", "REVOKED", "Keyring", "Revoked", "is_secret", "pairs", "rewritten", "text_of", "unnamed"]

#: Bytes of randomness of each new value.
STRENGTH = 32
KEEP, RANDOM = "keep", "random"
_NEW = "secrets.json"
#: The hashes of what was revoked, in the state of the deployment.
REVOKED = "revoked.json"
#: As Compose reads it: `KEY: value` is one too, and what a Windows editor puts before the first line is none of it.
_LINE = re.compile(
    r"^(?P<head>\ufeff?\s*(?:export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*)(?P<value>.*?)(?P<end>\r?)$"
)
#: A quoted value ends with its quote, any other with a ` #`; what stands behind is a comment.
_QUOTED = re.compile(r"(?P<mark>['\"])(?P<value>(?:\\.|(?!(?P=mark)).)*)(?P=mark)(?P<rest>.*)")
_BARE = re.compile(r"(?P<mark>)(?P<value>.*?)(?P<rest>\s*(?: #.*)?)")
_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^:/@\s]*:)(?P<password>[^@\s]*)(?P<tail>@.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Keyring:
    """The new values of one run: by key where each is its own, by kind where several share one password."""

    values: Mapping[str, str]

    @classmethod
    def path(cls, folder: Path) -> Path:
        """Where a run keeps them, 0600."""
        return folder / _NEW

    @classmethod
    def read(cls, folder: Path) -> Keyring | None:
        """Those of a run; None: it has none yet."""
        path = cls.path(folder)
        return cls(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    @classmethod
    def made(cls, folder: Path, table: Mapping[str, str]) -> Keyring:
        """Those of a run, made once: a run that goes on after a kill goes on with the same."""
        found = cls.read(folder)
        if found is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = cls.fresh(table)
            files.write(cls.path(folder), json.dumps(found.values), mode=0o600)
        return found

    @classmethod
    def fresh(cls, table: Mapping[str, str]) -> Keyring:
        """New values that nobody keeps."""
        names = {key if kind == RANDOM else kind for key, kind in table.items() if kind != KEEP}
        return cls({name: secrets.token_urlsafe(STRENGTH) for name in sorted(names)})

    def of(self, key: str, kind: str) -> str | None:
        """The new value behind a key of an env file; None: the old one stays."""
        return None if kind == KEEP else self.values.get(key if kind == RANDOM else kind)


def text_of(path: Path) -> str:
    """An env file byte for byte: its ends of lines, and also what is no UTF-8, as `files.write` writes it again."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each key of an env file with its secret: the whole value, or of a URL its password."""
    for line in text.split("\n"):
        found = _LINE.match(line)
        if found:
            value = _parts(found["value"])["value"]
            url = _PASSWORD.fullmatch(value)
            yield found["key"], unquote(url["password"]) if url else value


def _parts(written: str) -> re.Match[str]:
    """The quote, the value, and what stands behind it."""
    found = _QUOTED.fullmatch(written) or _BARE.fullmatch(written)
    assert found is not None  # noqa: S101 -- the second fits every line
    return found


def is_secret(kind: str, value: str) -> bool:
    """Whether a value of `pairs` is one that is revoked: a URL in which nobody signs in holds none."""
    return bool(value) and kind != KEEP and (kind == RANDOM or not _open_url(value))


def _open_url(value: str) -> bool:
    return "://" in value and "@" not in value


def rewritten(text: str, table: Mapping[str, str], ring: Keyring) -> str:
    """An env file with the new values; every other byte is what it was.

    Raises:
        Refused: a URL has no password that could be changed, or a value goes on in the next line.
    """
    return "\n".join(_line(one, table, ring) for one in text.split("\n"))


def _line(line: str, table: Mapping[str, str], ring: Keyring) -> str:
    found = _LINE.match(line)
    kind = table.get(found["key"], KEEP) if found else KEEP
    fresh = ring.of(found["key"], kind) if found else None
    if found is None or fresh is None:
        return line
    parts = _parts(found["value"])
    value = parts["value"]
    if kind != RANDOM and _open_url(value):
        return line
    new = _exchanged(found["key"], value, fresh, quoted=bool(parts["mark"]))
    return f"{found['head']}{parts['mark']}{new}{parts['mark']}{parts['rest']}{found['end']}"


def _exchanged(key: str, value: str, fresh: str, *, quoted: bool) -> str:
    if not quoted and value[:1] in ("'", '"'):
        raise Refused(f"The value of {key} does not end in its line.", "write it in one line, or say `keep`")
    if "://" not in value:
        return fresh
    url = _PASSWORD.fullmatch(value)
    if url is None:
        raise Refused(f"The URL of {key} has no password that could be changed.", "give it one, or say `keep`")
    return f"{url['head']}{quote(fresh, safe='')}{url['tail']}"


def unnamed(paths: Iterable[Path], table: Mapping[str, str]) -> list[str]:
    """Keys of env files that name a secret, and of which nobody has said what becomes of them."""
    texts = [text_of(one) for one in paths if one.is_file()]
    return sorted({key for text in texts for key, value in pairs(text) if value and names_a_secret(key)} - set(table))


@dataclass(frozen=True)
class Revoked:
    """The values that were revoked, as keyed hashes: enough to know one again, and not to read it.

    Attributes:
        path: where they are kept.
        table: what becomes of which key after a breach.
    """

    path: Path
    table: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, deployment: Deployment) -> Revoked:
        """Those of a deployment."""
        return cls(deployment.state / REVOKED, deployment.settings.containment.secrets)

    def _read(self) -> dict[str, str]:
        if not self.path.is_file():
            return {"key": secrets.token_hex(STRENGTH)}
        found: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def add(self, values: Iterable[str]) -> None:
        """Remember them for good."""
        found, now = self._read(), datetime.now(UTC).isoformat(timespec="seconds")
        known = {self._digest(found["key"], one): now for one in values if one}
        files.write(self.path, json.dumps({**known, **found}, indent=1) + "\n", mode=0o600)

    @staticmethod
    def _digest(key: str, value: str) -> str:
        return hmac.new(bytes.fromhex(key), value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    def since(self, value: str) -> str | None:
        """Since when a value is revoked; None: it is not."""
        found = self._read()
        return found.get(self._digest(found["key"], value))

    def keys_in(self, path: Path) -> dict[str, str]:
        """The secrets of an env file that have a revoked value, and since when it is one.

        A password that was `postgres` does not make the name of a user one.
        """
        text = text_of(path) if self.path.is_file() and path.is_file() else ""
        found = {key: value for key, value in pairs(text) if self._is_secret(key)}
        return {key: at for key, value in found.items() if (at := self.since(value))}

    def _is_secret(self, key: str) -> bool:
        return self.table[key] != KEEP if key in self.table else names_a_secret(key)
