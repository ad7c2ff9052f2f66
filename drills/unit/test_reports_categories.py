"""Kinds of bad news: a failed result is filed by what a check says it is, and not by words of a log that it quotes."""

from __future__ import annotations

import re

import pytest

from fixtures.checks.availability import objective_met
from fixtures.checks.ledger import ledger
from fixtures.checks.zero import zero
from fixtures.command import Outcome
from fixtures.history import Write
from fixtures.ledger import Truth
from fixtures.openloop import Event
from fixtures.operators import ended
from reports.configuration import categories


def filed(status: str, message: str) -> str:
    """The first category that fits, as the report files it."""
    fitting = (
        rule["name"]
        for rule in categories()
        if status in rule["matchedStatuses"] and re.search(rule.get("messageRegex", ""), message)
    )
    return str(next(fitting))


def answered(status: int, wanted: int, said: str) -> str:
    """What a drill says of a command that ended so."""
    return ended("undone", Outcome((), status, "", said), wanted, "back").reason


WRITE = Write("project", "p1", "1", None, "u1", 1.0, 2.0, "acknowledged", "v1")
GONE = Event("fresh", 1.0, 2.0, ok=True, reason="", release="v1", made="7")
FAILED = Event("fresh", 1.0, 2.0, ok=False, reason="ConnectError: refused, connection lost", release=None)
LOST = [ledger([WRITE], Truth()).reason, zero([GONE], (), ()).reason]
#: What looks like something else at a careless glance.
FILED = {
    "a write is lost": ("failed", f"AssertionError: ledger: {LOST[0]}", "Data lost"),
    "a write is lost in a switch": ("failed", f"AssertionError: zero: {LOST[1]}", "Data lost"),
    "a switch breaks a request": (
        "failed",
        f"AssertionError: zero: {zero([FAILED], (), ()).reason}",
        "Another contract violated",
    ),
    "a path was late": (
        "failed",
        f"AssertionError: objective: {objective_met({'read': None}, 60).reason}",
        "Objective missed",
    ),
    "refused": ("failed", f"AssertionError: undone: {answered(20, 0, 'is not so')}", "Refused wrongly"),
    "not refused": (
        "failed",
        f"AssertionError: undone: {answered(0, 20, 'refused words')}",
        "Another contract violated",
    ),
    "refused in other words": (
        "failed",
        f"AssertionError: undone: {answered(20, 20, 'no')}",
        "Another contract violated",
    ),
    "a connection": (
        "failed",
        "AssertionError: exit: connect() failed (111: Connection refused)",
        "Another contract violated",
    ),
    "broken requests": (
        "failed",
        "AssertionError: requests: broke 3 uploads, connection lost",
        "Another contract violated",
    ),
    "nothing to judge": ("failed", "DrillInconclusiveError: inconclusive: waited 45 s", "Inconclusive"),
    "machinery": ("broken", "MachineryError: the watch did not look", "Machinery"),
    "left out": ("skipped", "no image of Grafana here", "Not tested"),
}


@pytest.mark.parametrize(("status", "message", "category"), FILED.values(), ids=FILED)
def test_a_result_is_filed_by_what_its_check_says(status: str, message: str, category: str) -> None:
    """Each by the sentence of the check itself."""
    assert filed(status, message) == category


def test_the_command_of_a_drill_is_filed_in_the_same_way() -> None:
    """Its sentence has other words than that of a command beside it; see `Case`."""
    assert (
        filed("failed", "AssertionError: exit code and words: exit 20 (wanted 0), missing words []: no")
        == "Refused wrongly"
    )
