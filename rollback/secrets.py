"""Secrets stay where they are: text that leaves the deployment is passed through here first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["MASK", "Redactor", "names_a_secret", "of_deployment"]

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
#: Long, of one alphabet, with letters of both cases and digits: nobody types such a value, whatever its key is called.
_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/=_-]{20,}")

#: What a secret looks like, whoever's it is: what is masked, and by which word. `keep` stays as it is.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)),
    ("age key", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+")),
    ("JWT", re.compile(r"\beyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*")),
    ("password hash", re.compile(
        r"\$argon2(?:id|i|d)\$[\w=,$+/.-]+|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{20,}|SCRAM-SHA-256\$[\w:=+/$]+"
        r"|\$(?:5|6|y)\$[\w./$=-]{10,}")),
    ("cloud key", re.compile(r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_\w{20,}|xox[abeprs]-[\w-]{10,})")),
    ("cookie", re.compile(
        r"(?P<keep>\b(?:set-)?cookie[\"']?\s*[:=]\s*+[\"']?+)(?!\[secret)[^\"'\r\n]+", re.IGNORECASE)),
    ("credentials", re.compile(
        r"(?P<keep>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?+)(?!\[secret)[^\s\"',;]{4,}", re.IGNORECASE)),
    ("token", re.compile(r"(?P<keep>\bbearer\s+)(?!\[secret)[\w.~+/-]{8,}=*", re.IGNORECASE)),
    ("value", re.compile(
        r"(?<!\[)(?P<keep>[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
        r"[\w-]*\\?[\"']?\s*[:=]\s*\\?[\"']?)(?!\[secret|(?:\d+|true|false|null|none)\b)[^\s\"'\\&,;}\]]{4,}",
        re.IGNORECASE)),
)  # fmt: skip


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

    def thorough(self, text: str) -> str:
        """The same for logs and whatever else others have written: what looks like a secret is masked by its kind.

        Tokens, cookies, hashes of passwords, private keys, and the values of names such as `password` are masked even
        where nobody knows them.
        """
        text = self(text)
        for kind, pattern in _KINDS:
            text = pattern.sub(lambda found, kind=kind: f"{found.groupdict().get('keep', '')}[secret: {kind}]", text)  # type: ignore[misc]
        return text


def of_deployment(deployment: Deployment) -> Redactor:
    """Knows the secrets of the checkout and of every recorded release."""
    table = deployment.settings
    names = [*table.compose.env_files, *table.monitoring.env_files]
    here = [deployment.root / name for name in names]
    shelf = deployment.state / "releases"
    kept = [folder / "files" / name for folder in shelf.glob("*") for name in names] if shelf.is_dir() else []
    known = Redactor.of([*here, *kept])
    account = table.verify.password_file
    path = deployment.root / account if account else None
    spoken = path.read_text(encoding="utf-8", errors="replace").strip() if path and path.is_file() else ""
    return Redactor((spoken, *known.values)) if len(spoken) >= _SHORTEST else known


def names_a_secret(key: str) -> bool:
    """Whether the key of an env file says that its value is a secret."""
    return _SECRET_KEY.search(key) is not None


def _values(text: str) -> set[str]:
    found: set[str] = set()
    for line in text.splitlines():
        match = _LINE.match(line)
        for value in _readings(match[2].strip()) if match else ():
            if match and (names_a_secret(match[1]) or _RANDOM.fullmatch(value)):
                passwords = _URL_PASSWORD.findall(value)
                found |= {value, *passwords, *map(unquote, passwords)}
    return {one for one in found if len(one) >= _SHORTEST}


def _readings(written: str) -> set[str]:
    """What the value may be: readers of env files differ on quotes and on comments behind a value."""
    quoted = _QUOTED.match(written)
    return {written.strip("'\""), quoted["value"] if quoted else _COMMENT.sub("", written).strip()}
