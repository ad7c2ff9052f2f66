"""Secrets in a report: every form of each is looked for in every file, and struck out where it stands."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["LEAST", "Leak", "forms", "in_page", "in_text", "strike"]

#: A secret that is shorter could be part of anything.
LEAST = 12
STRUCK = b"[secret]"
_WORDS = re.compile(rf"[A-Za-z0-9_+/=.~%-]{{{LEAST},}}".encode())
_EMBEDDED = re.compile(r'd\("[^"]+","([^"]*)"\)')
#: Allure's own program, the same in every report: most of a page, and slow to look through.
_PROGRAM = re.compile(r'<script[^>]* src="data:text/javascript;base64,[^"]*"')


@dataclass(frozen=True)
class Leak:
    """A secret in a file: which one, never what it is."""

    file: Path
    name: str

    def __str__(self) -> str:
        return f"{self.file.name} held the secret {self.name}"


def forms(secret: str) -> Iterator[bytes]:
    """Yield a secret as it stands, in hexadecimal, and inside Base64 at each of its three alignments."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    for shift in range(3):
        # characters at both ends hold bits of what stands beside the secret
        inner = base64.b64encode(bytes(shift) + raw)[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def strike(folder: Path, secrets: Mapping[str, str]) -> list[Leak]:
    """Strike every secret out of every file below ``folder``, and say where each was.

    Args:
        folder: the report.
        secrets: the name of each secret, by the secret.
    """
    wanted = _index(secrets)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Leak(path, name) for path in files for name in _struck(path, wanted)]


def in_text(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that a text holds."""
    wanted = _index(secrets)
    return sorted({wanted.names[form] for form in wanted.found(text.encode())})


def in_page(html: str, secrets: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that a page of Allure holds, in itself or in the files embedded in Base64."""
    wanted = _index(secrets)
    blobs = [base64.b64decode(found[1]) for found in _EMBEDDED.finditer(html)]
    rest = _PROGRAM.sub("", _EMBEDDED.sub("", html)).encode()
    return sorted({wanted.names[form] for text in (rest, *blobs) for form in wanted.found(text)})


@dataclass(frozen=True)
class _Index:
    """All forms of all secrets, by how they begin."""

    names: dict[bytes, str]
    heads: dict[bytes, list[bytes]]

    def found(self, text: bytes) -> set[bytes]:
        if not self.names:
            return set()
        return {form for word in _WORDS.finditer(text) for form in self._in(word[0])}

    def _in(self, word: bytes) -> Iterator[bytes]:
        for start in range(len(word) - LEAST + 1):
            for form in self.heads.get(word[start : start + LEAST], ()):
                if word.startswith(form, start):
                    yield form


def _index(secrets: Mapping[str, str]) -> _Index:
    names = {form: name for secret, name in secrets.items() for form in forms(secret) if len(form) >= LEAST}
    heads: dict[bytes, list[bytes]] = {}
    for form in names:
        heads.setdefault(form[:LEAST], []).append(form)
    return _Index(names, heads)


def _struck(path: Path, wanted: _Index) -> list[str]:
    text = path.read_bytes()
    found = wanted.found(text)
    if found:
        path.write_bytes(_without(text, found))
    return sorted({wanted.names[form] for form in found})


def _without(text: bytes, found: Iterable[bytes]) -> bytes:
    # the longest goes first: one may hold another
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, STRUCK)
    return text
