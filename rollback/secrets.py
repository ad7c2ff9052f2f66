"""Secrets stay where they are: text that leaves the deployment is passed through here first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Redactor", "names_a_secret"]

_SECRET_KEY = re.compile(
    r"SECRET|PASSW|PASSPHRASE|(?:^|_)(?:PASS|PWD)$|TOKEN|_KEY$|^KEY|CREDENTIAL|DATABASE_URL|REDIS_URL|DSN",
    re.IGNORECASE,
)
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*)$")
_URL_PASSWORD = re.compile(r"://[^:/@\s]*:([^@\s]+)@")
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<value>.*?)(?<!\\)(?P=quote)""")
_COMMENT = re.compile(r"\s#.*")
_SHORTEST = 4
MASK = "[secret]"


@dataclass(frozen=True)
class Redactor:
    """Replaces every known secret value, whatever text it stands in."""

    values: tuple[str, ...]

    @classmethod
    def of(cls, env_files: Iterable[Path]) -> Redactor:
        """The values of all keys in the env files that name a secret, and the passwords inside URLs."""
        found: set[str] = set()
        for path in env_files:
            if path.is_file():
                found |= _values(path.read_text(encoding="utf-8-sig", errors="replace"))
        return cls(tuple(sorted(found, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """The text without them."""
        for value in self.values:
            text = text.replace(value, MASK)
        return _URL_PASSWORD.sub(lambda match: match[0].replace(match[1], MASK), text)


def names_a_secret(key: str) -> bool:
    """Whether the key of an env file says that its value is a secret."""
    return _SECRET_KEY.search(key) is not None


def _values(text: str) -> set[str]:
    found: set[str] = set()
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and names_a_secret(match[1]):
            for value in _readings(match[2].strip()):
                passwords = _URL_PASSWORD.findall(value)
                found |= {value, *passwords, *map(unquote, passwords)}
    return {one for one in found if len(one) >= _SHORTEST}


def _readings(written: str) -> set[str]:
    """What the value may be: readers of env files differ on quotes and on comments behind a value."""
    quoted = _QUOTED.match(written)
    return {written.strip("'\""), quoted["value"] if quoted else _COMMENT.sub("", written).strip()}
