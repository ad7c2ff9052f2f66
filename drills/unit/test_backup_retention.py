"""What `prune` decides: counts, pins, the floor of proven ones, and clocks that jump."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from rollback.database.backup.retention import Item, Policy, Verdict, decide
from rollback.recovery.table import RecoveryTable
from rollback.tables import BackupTable

NOW = datetime(2026, 7, 22, 12, tzinfo=UTC)
POLICY = Policy(daily=3, weekly=2, monthly=2, verified=1)


def item(days: float, *, verified: bool = True, pinned: str | None = None, doubt: str = "") -> Item:
    """A backup taken so many days ago."""
    at = NOW - timedelta(days=days)
    return Item(f"{at:%Y%m%dT%H%M%SZ}-{'v' if verified else 'n'}", at, verified, pinned, doubt)


def verdicts(items: list[Item], policy: Policy = POLICY, now: datetime = NOW) -> list[str]:
    """Newest first."""
    return [one.verdict.name for one in decide(items, policy, now)]


def reasons(items: list[Item], policy: Policy = POLICY) -> list[str]:
    """Newest first."""
    return [one.reason for one in decide(items, policy, NOW)]


@pytest.mark.parametrize("table", [BackupTable, RecoveryTable])
def test_the_figures_of_a_table_are_the_policy(table: type[BackupTable | RecoveryTable]) -> None:
    """Each in its own place, for backups of the database and for full ones."""
    figures = table(keep_daily=1, keep_weekly=2, keep_monthly=3, keep_verified=4)
    assert Policy.of(figures) == Policy(daily=1, weekly=2, monthly=3, verified=4)


def test_nothing_there_is_nothing_to_decide() -> None:
    """An empty shelf."""
    assert decide([], POLICY, NOW) == []


def test_each_of_the_newest_days_weeks_and_months_keeps_one() -> None:
    """Two a day for ten weeks: 3 days, 2 weeks and 2 months, and each says which."""
    found = decide([item(n / 2) for n in range(140)], POLICY, NOW)
    kept = {one.reason for one in found if one.verdict is Verdict.KEEP}
    # the week and the month of the newest are kept by it
    assert kept == {"the newest", "the day 2026-07-21", "the day 2026-07-20", "the week 2026-W29", "the month 2026-06"}
    assert Counter(one.verdict for one in found)[Verdict.OBSOLETE] == 140 - len(kept)


def test_of_a_day_the_newest_proven_one_stays() -> None:
    """One that nobody has proven stands for its day only where there is no other."""
    found = [item(0), item(1, verified=False), item(1.1), item(1.2)]
    assert verdicts(found, Policy(2, 0, 0, 1)) == ["KEEP", "OBSOLETE", "KEEP", "OBSOLETE"]


def test_a_pin_stays_for_ever_and_says_why() -> None:
    """However old."""
    assert verdicts([item(0), item(4000, pinned="the audit")]) == ["KEEP", "PIN"]
    assert reasons([item(0), item(4000, pinned="the audit")])[1] == "pinned: the audit"


def test_the_newest_stays_even_where_nothing_is_to_be_kept() -> None:
    """Counts of zero."""
    assert verdicts([item(0), item(1)], Policy(0, 0, 0, 1)) == ["KEEP", "OBSOLETE"]


def test_the_newest_proven_ones_are_a_floor() -> None:
    """Twenty unproven ones since do not push them out."""
    recent = [item(n / 100, verified=False) for n in range(20)]
    old = [item(400), item(500), item(600)]
    found = decide([*recent, *old], Policy(1, 0, 0, 2), NOW)
    assert [one.verdict for one in found[-3:]] == [Verdict.FLOOR, Verdict.FLOOR, Verdict.OBSOLETE]
    assert all(one.verdict is Verdict.OBSOLETE for one in found[1:20])


def test_while_too_few_are_proven_nothing_goes() -> None:
    """The figure in the sentence says what is missing."""
    found = [item(n, verified=n == 300) for n in (0, 100, 200, 300)]
    assert verdicts(found, Policy(1, 0, 0, 2)) == ["KEEP", "FLOOR", "FLOOR", "FLOOR"]
    assert reasons(found, Policy(1, 0, 0, 2))[1] == "only 1 of 2 proven ones are there"


def test_a_pinned_proven_one_counts_for_the_floor() -> None:
    """It stays anyway."""
    assert verdicts([item(0, verified=False), item(9, pinned="x"), item(99)], Policy(1, 0, 0, 1))[2] == "OBSOLETE"


def test_one_in_doubt_is_kept_as_evidence_and_helps_no_count() -> None:
    """Nor does it count as proven or as the newest."""
    found = [item(0, doubt="signature"), item(1), item(2)]
    assert verdicts(found, Policy(1, 0, 0, 1)) == ["KEEP", "KEEP", "OBSOLETE"]
    assert "signature" in reasons(found)[0]


def test_a_clock_that_jumped_ahead_makes_nothing_obsolete() -> None:
    """Ten years later the same ones stay."""
    found = [item(n) for n in range(30)]
    assert verdicts(found, now=NOW + timedelta(days=3650)) == verdicts(found)


def test_a_clock_that_jumped_back_deletes_nothing() -> None:
    """All of them come from the future then."""
    assert set(verdicts([item(n) for n in range(30)], now=NOW - timedelta(days=365))) == {"KEEP"}


def test_one_from_the_future_pushes_nothing_out() -> None:
    """It was taken while the clock was wrong."""
    past = [item(n) for n in range(10)]
    assert verdicts([item(-1000), item(-1), *past]) == ["KEEP", "KEEP", *verdicts(past)]


def test_equal_times_are_decided_by_the_id() -> None:
    """Repeatable, whatever the order they are found in."""
    twins = [Item(name, NOW, verified=True) for name in "abc"]
    assert decide(twins, POLICY, NOW) == decide(twins[::-1], POLICY, NOW)
    assert verdicts(twins) == ["KEEP", "OBSOLETE", "OBSOLETE"]


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_there_the_guarantees_hold(seed: int) -> None:
    """Any shelf, any policy, any clock: newest, pins, doubts and the floor of proven ones stay."""
    dice = random.Random(seed)  # noqa: S311 -- repeatable on purpose
    pins, doubts = [None, None, None, "x"], ["", "", "", "", "y"]
    found = [
        item(dice.uniform(-50, 900), verified=dice.random() < 0.4, pinned=dice.choice(pins), doubt=dice.choice(doubts))
        for _ in range(dice.randrange(60))
    ]
    policy = Policy(dice.randrange(9), dice.randrange(6), dice.randrange(6), dice.randrange(1, 6))
    obsolete = {one.id for one in decide(found, policy, NOW) if one.verdict is Verdict.OBSOLETE}
    left = [one for one in found if one.id not in obsolete]
    proven = sum(one.verified and not one.doubt for one in found)
    assert all(one in left for one in found if one.pinned or one.doubt or one.at > NOW)
    assert sum(one.verified and not one.doubt for one in left) >= min(policy.verified, proven)
    past = [one for one in found if one.at <= NOW and not one.doubt]
    assert not past or max(past, key=lambda one: one.at) in left
    again = decide(left, policy, NOW)
    assert [one for one in again if one.verdict is Verdict.OBSOLETE] == []


def test_the_newest_proven_one_stays_whatever_else_does() -> None:
    """Newer ones that nobody has proven, and proven ones that are pinned or from the future, do not push it out."""
    found = [item(-1), item(0, verified=False), item(1), item(2), item(900, pinned="the audit")]
    assert verdicts(found, Policy(0, 0, 0, 1)) == ["KEEP", "KEEP", "FLOOR", "OBSOLETE", "PIN"]
    assert reasons(found, Policy(0, 0, 0, 1))[2] == "the newest proven one"
