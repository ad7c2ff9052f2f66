"""drills/gate.toml: what may be missing from a run, by name, why, and until when."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BadPolicyError", "Exemption", "Policy", "known", "read"]

_TABLES = ("drills", "procedures")
_KEYS = {"reason", "until"}


class BadPolicyError(ValueError):
    """The policy cannot be read; nothing is exempt then."""


@dataclass(frozen=True)
class Exemption:
    """Somebody's decision that one name may go without a drill, for a while."""

    reason: str
    until: date

    def holds(self, today: date) -> bool:
        """Say whether the decision still stands; on the day named it does."""
        return today <= self.until


@dataclass(frozen=True)
class Policy:
    """What may be missing.

    Attributes:
        drills: by id: may say *not tested* where what they need is not to be had.
        procedures: by section of the runbook: may have no drill at all.
    """

    drills: dict[str, Exemption] = field(default_factory=dict)
    procedures: dict[str, Exemption] = field(default_factory=dict)


def read(path: Path) -> Policy:
    """Read the policy; a missing file exempts nothing.

    Raises:
        BadPolicyError: a key is unknown, or an exemption lacks its reason or its date.
    """
    if not path.is_file():
        return Policy()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    # not TOML, or not even UTF-8
    except ValueError as error:
        raise BadPolicyError(f"{path.name}: {error}") from error
    wrong = sorted(raw.keys() - set(_TABLES))
    if wrong:
        raise BadPolicyError(f"{path.name}: unknown table {', '.join(wrong)}; allowed are {', '.join(_TABLES)}")
    flat = [name for name, table in raw.items() if not isinstance(table, dict)]
    if flat:
        raise BadPolicyError(f"{path.name}: {', '.join(flat)} has to be a table of names")
    return Policy(*({name: _exemption(path, name, one) for name, one in raw.get(table, {}).items()}
                    for table in _TABLES))  # fmt: skip


def known(path: Path) -> tuple[Policy, tuple[str, ...]]:
    """Return the policy, and what is wrong with it: one that cannot be read exempts nothing, and is no silence."""
    try:
        return read(path), ()
    except BadPolicyError as error:
        return Policy(), (str(error),)


def _exemption(path: Path, name: str, raw: Any) -> Exemption:
    good = isinstance(raw, dict) and raw.keys() == _KEYS and type(raw["until"]) is date and str(raw["reason"]).strip()
    if not good:
        raise BadPolicyError(f'{path.name}: "{name}" needs a reason and a day: {{reason = "...", until = 2030-01-31}}')
    return Exemption(str(raw["reason"]), raw["until"])
