"""What becomes of one row that differs from the backup; no database is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["MOMENTS", "Decided", "Rules", "Verdict", "decide", "decide_child"]

#: Columns that say when a row was last changed.
MOMENTS = ("updated_at", "modified_at", "changed_at")

Row = dict[str, Any]

#: Hexadecimal digits, 64 bits: among half a million rows two are alike once in 10^8 plans.
_MARK = 16


class Verdict(StrEnum):
    """What becomes of a row."""

    REPAIR = "repair"
    BRING_BACK = "bring back"
    LEAVE = "leave"


@dataclass(frozen=True)
class Rules:
    """What decisions depend on, apart from the row.

    Attributes:
        since: when the backup was taken.
        now: when the live database was read.
        overwrite: whether rows that were changed since the backup are repaired as well.
    """

    since: datetime
    now: datetime
    overwrite: bool = False


@dataclass(frozen=True)
class Decided:
    """One row with its decision.

    Attributes:
        table: qualified.
        key: the values of its primary key, as a JSON array.
        old: the row as it is in the live database; None where it is missing.
        new: the row of the backup; None where the backup has none.
    """

    table: str
    key: str
    verdict: Verdict
    reason: str
    old: Row | None
    new: Row | None

    @property
    def writes(self) -> bool:
        """Whether anything is done to it."""
        return self.verdict is not Verdict.LEAVE

    def mark(self) -> str:
        """A short hash of the row and of its values on both sides."""
        said = json.dumps([self.table, self.key, self.old, self.new], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:_MARK]


def decide(old: Row | None, new: Row | None, rules: Rules) -> tuple[Verdict, str]:
    """What becomes of a row that was chosen and is not the same in both.

    Args:
        old: as it is in the live database.
        new: as it is in the backup.
        rules: what else it depends on.
    """
    if new is None:
        return Verdict.LEAVE, "the backup does not have it"
    if old is None:
        return Verdict.BRING_BACK, "missing"
    changed = _changed(old, rules)
    if changed is not None and not rules.overwrite:
        return Verdict.LEAVE, f"changed {changed.isoformat(timespec='seconds')}, after the backup"
    return Verdict.REPAIR, "differs"


def decide_child(old: Row | None, new: Row, emptied: Collection[str]) -> tuple[Verdict, str] | None:
    """What becomes of a row that refers, in the backup, to a row that is brought back; None: nothing is to be done.

    Args:
        old: as it is in the live database.
        new: as it is in the backup.
        emptied: columns that PostgreSQL sets to NULL when what they refer to goes.
    """
    if old is None:
        return Verdict.BRING_BACK, "went with the row that it belongs to"
    differing = {name for name in new if old.get(name) != new[name]}
    if not differing:
        return None
    if all(name in emptied and old.get(name) is None for name in differing):
        return Verdict.REPAIR, f"{', '.join(sorted(differing))} went with the row that it names"
    return Verdict.LEAVE, "there, and changed"


def _changed(row: Mapping[str, Any], rules: Rules) -> datetime | None:
    """When the row says that it was changed, if that is after the backup and not after now: damage may say anything."""
    said = [moment for name in MOMENTS if (moment := _moment(row.get(name))) is not None]
    later = [one for one in said if rules.since < one <= rules.now]
    return max(later, default=None)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
