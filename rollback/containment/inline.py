"""Secrets that the Compose files hold themselves, or take from files of their own: a rotation does not reach them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback.containment.keyring import KEEP, pairs, text_of, unnamed
from rollback.secrets import names_a_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["unhandled"]

_VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^:/@\s]*:[^@\s]+@", re.IGNORECASE)


def unhandled(models: Iterable[dict[str, Any]], env_files: Iterable[Path], table: Mapping[str, str]) -> list[str]:
    """What looks like a secret in Compose files, and comes from no key of an env file that is rotated or kept.

    Args:
        models: the Compose files as they are written, variables and all.
        env_files: of rollback.toml.
        table: what becomes of which key; `keep` also of one that stands in a Compose file, or of a secret's name.
    """
    paths = [one.resolve() for one in env_files]
    known = {key for one in paths if one.is_file() for key, value in pairs(text_of(one)) if value and key in table}
    found = [told for model in models for told in _of_model(model, {str(one) for one in paths}, known, table)]
    return list(dict.fromkeys(found))


def _of_model(model: dict[str, Any], paths: set[str], known: set[str], table: Mapping[str, str]) -> Iterator[str]:
    keep = {key: kind for key, kind in table.items() if kind == KEEP}
    for name, service in model["services"].items():
        for key, value in _environment(service.get("environment") or {}):
            if _is_strange(key, value, known) and key not in keep:
                yield f"{key} of the service {name}"
        for one in service.get("env_file") or ():
            for key in unnamed([Path(one["path"])], keep) if one["path"] not in paths else ():
                yield f"{key} of the service {name} in {one['path']}"
    for name, secret in (model.get("secrets") or {}).items():
        if secret.get("environment") not in known and name not in keep:
            yield f"the Compose secret {name}"


def _environment(written: dict[str, Any] | list[str]) -> Iterator[tuple[str, str | None]]:
    """As a mapping or as a list; None: the value is that of the variable of this name."""
    if isinstance(written, dict):
        yield from ((key, None if value is None else str(value)) for key, value in written.items())
        return
    for one in written:
        key, mark, value = one.partition("=")
        yield key, value if mark else None


def _is_strange(key: str, value: str | None, known: set[str]) -> bool:
    """Whether it is a secret in which no variable of an env file stands; an empty one is none."""
    if value == "" or not (names_a_secret(key) or _URL.search(value or "")):
        return False
    return not known & ({key} if value is None else {*_VARIABLE.findall(value)})
