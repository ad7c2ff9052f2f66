"""Which backups may go: pure decisions with a reason each. Somebody else deletes.

Days, weeks and months are counted where there are backups, not on the calendar: a clock that jumps ahead makes nothing
obsolete. What seems to come from the future is kept and helps no count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from rollback.recovery.table import RecoveryTable
    from rollback.tables import BackupTable

__all__ = ["Decision", "Item", "Policy", "Verdict", "decide"]


class Verdict(Enum):
    """What becomes of a backup."""

    KEEP = "keep"
    PIN = "pin"
    FLOOR = "floor"
    OBSOLETE = "obsolete"


@dataclass(frozen=True)
class Policy:
    """How many of the newest days, weeks and months with backups keep one, and how many proven ones always stay."""

    daily: int
    weekly: int
    monthly: int
    verified: int

    @classmethod
    def of(cls, table: BackupTable | RecoveryTable) -> Policy:
        """As a table of rollback.toml has it."""
        return cls(table.keep_daily, table.keep_weekly, table.keep_monthly, table.keep_verified)


@dataclass(frozen=True)
class Item:
    """A backup as far as the decision goes.

    Attributes:
        at: when it was taken, UTC.
        verified: it was restored and equal to its manifest.
        pinned: why it must stay; None when it need not.
        doubt: why its manifest cannot be believed; empty when it can.
    """

    id: str
    at: datetime
    verified: bool = False
    pinned: str | None = None
    doubt: str = ""


@dataclass(frozen=True)
class Decision:
    """What becomes of one backup, and why."""

    id: str
    verdict: Verdict
    reason: str


def decide(items: Iterable[Item], policy: Policy, now: datetime) -> list[Decision]:
    """One decision a backup, newest first.

    Guarantees: neither the newest nor the newest proven one is ever obsolete; nothing is, while fewer than
    `policy.verified` proven ones are there; and of the proven ones at least so many stay.
    """
    ordered = sorted(items, key=lambda one: (one.at, one.id), reverse=True)
    counted = [one for one in ordered if not one.doubt and one.at <= now]
    reasons = _reasons(counted, policy)
    decisions = {one.id: _first(one, reasons, now) for one in ordered}
    return [_floored(one, decisions, ordered, policy, counted) for one in ordered]


def _first(one: Item, reasons: dict[str, str], now: datetime) -> Decision:
    """Without the floor."""
    if one.pinned is not None:
        return Decision(one.id, Verdict.PIN, f"pinned: {one.pinned}")
    if one.doubt:
        return Decision(one.id, Verdict.KEEP, f"evidence, somebody has to look at it: {one.doubt}")
    if one.at > now:
        return Decision(one.id, Verdict.KEEP, "it comes from the future: look at the clock")
    if one.id in reasons:
        return Decision(one.id, Verdict.KEEP, reasons[one.id])
    return Decision(one.id, Verdict.OBSOLETE, "no day, week or month needs it")


def _reasons(counted: Sequence[Item], policy: Policy) -> dict[str, str]:
    """Why a backup is needed; the first reason counts."""
    found: dict[str, str] = {}
    for what, limit, bucket in (
        ("day", policy.daily, lambda at: at.strftime("%Y-%m-%d")),
        ("week", policy.weekly, lambda at: at.strftime("%G-W%V")),
        ("month", policy.monthly, lambda at: at.strftime("%Y-%m")),
    ):
        for name, one in _buckets(counted, bucket, limit).items():
            found.setdefault(one.id, f"the {what} {name}")
    return {**found, **({counted[0].id: "the newest"} if counted else {})}


def _buckets(counted: Sequence[Item], bucket: Callable[[datetime], str], limit: int) -> dict[str, Item]:
    """The newest periods with the backup that stands for each: the newest proven one, else the newest."""
    found: dict[str, Item] = {}
    for one in counted:
        name = bucket(one.at)
        if name not in found and len(found) == limit:
            break
        if name not in found or (one.verified and not found[name].verified):
            found[name] = one
    return found


def _floored(
    one: Item, decisions: dict[str, Decision], ordered: Sequence[Item], policy: Policy, counted: Sequence[Item]
) -> Decision:
    decision = decisions[one.id]
    if decision.verdict is not Verdict.OBSOLETE:
        return decision
    if one.id == next((other.id for other in counted if other.verified), None):
        return Decision(one.id, Verdict.FLOOR, "the newest proven one")
    proven = [other for other in ordered if other.verified and not other.doubt]
    if len(proven) < policy.verified:
        return Decision(one.id, Verdict.FLOOR, f"only {len(proven)} of {policy.verified} proven ones are there")
    kept = sum(decisions[other.id].verdict is not Verdict.OBSOLETE for other in proven)
    spare = [other for other in proven if decisions[other.id].verdict is Verdict.OBSOLETE]
    if one in spare[: max(0, policy.verified - kept)]:
        return Decision(one.id, Verdict.FLOOR, f"one of the {policy.verified} proven ones that always stay")
    return decision
