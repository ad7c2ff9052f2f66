"""Rollback Automation: the watcher judged as a classifier, on releases of which it is known what they are."""

from __future__ import annotations

from dataclasses import fields, replace

import allure
import pytest

from fixtures import watching
from fixtures.watching import BASELINE, POLICY, SERIES, Series
from rollback.commandline.watch import watch
from rollback.watch.decision import Baseline, Decision, Policy, Sample, Verdict, decide
from rollback.watch.signals import Request

LEAST = 60


def test_no_good_release_is_rolled_back_and_no_bad_one_kept() -> None:
    """Each series gets its verdict in time; the confusion matrix is in the report."""
    wrong, matrix = watching.mistakes(decide)
    told = watching.confusion(matrix)
    print(told)  # noqa: T201 -- what this test is read for
    allure.attach(told, "confusion matrix", allure.attachment_type.TEXT)
    assert len(SERIES) >= LEAST
    assert not wrong, "\n".join(wrong)


def test_nothing_seen_is_neither_healthy_nor_a_rollback() -> None:
    """Without a single fact the watcher says so in the end."""
    blind = tuple(Sample(float(second), None, None) for second in range(301))
    assert decide(blind, POLICY, BASELINE).verdict is Verdict.ERROR


def test_the_sentence_has_the_value_the_operator_and_the_limit() -> None:
    """Whoever reads it at night needs nothing else."""
    bad = tuple(Sample(float(second), "", {"GET /": (10, 5)}) for second in range(60))
    assert "150 of 300" not in decide(bad, POLICY).sentence
    assert decide(bad, POLICY) == Decision(
        Verdict.ROLLBACK, "5 of 5 windows were bad; the last one: 50 of 100 requests failed: 50.0 % > 5.0 %"
    )


def test_a_log_that_could_not_be_read_is_told() -> None:
    """The release is healthy as far as requests say; of which service a signal was missing is said, however it ends."""
    samples = tuple(Sample(float(s), "", {"GET /": (50, 0)}, errors=0) for s in range(301))
    some = tuple(replace(one, unread=["ml"] if one.at < 3 else []) for one in samples)
    idle = tuple(replace(one, counts={}, errors=None, unread=["api", "ml"]) for one in samples)
    assert "logs" not in decide(samples, POLICY).sentence
    assert decide(some, POLICY).verdict is Verdict.HEALTHY
    assert decide(some, POLICY).sentence.endswith("; logs that could not be read: ml in 3 of 301 looks")
    assert decide(idle, POLICY).verdict is Verdict.INCONCLUSIVE
    assert decide(idle, POLICY).sentence.endswith(
        "; logs that could not be read: api in 301 of 301 looks, ml in 301 of 301 looks"
    )


def test_one_kind_of_users_is_not_told_apart_and_the_help_says_so() -> None:
    """Four of a hundred requests fail, all of one customer, on every path: nothing in the log tells him from others."""
    samples = tuple(Sample(float(s), "", {"GET /a": (50, 2), "POST /b": (50, 2)}) for s in range(301))
    assert decide(samples, POLICY).verdict is Verdict.HEALTHY
    assert "what was asked and not by whom" in " ".join(str(watch.__doc__).split())
    assert not {"user", "client", "address"} & {one.name for one in fields(Request)}


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (0.004, 0.018, Verdict.HEALTHY),
        (0.004, 0.031, Verdict.HEALTHY),
        (0.004, 0.047, Verdict.ROLLBACK),
        (0.05, 0.2, Verdict.HEALTHY),
        (0.05, 0.3, Verdict.ROLLBACK),
    ],
)
def test_slow_is_what_is_slower_than_before(before: float, now: float, verdict: Verdict) -> None:
    """Three times, if users wait; eight times, however quick it still is; nothing below what any busy host does."""
    samples = tuple(Sample(float(s), "", {"GET /": (50, 0)}, now) for s in range(301))
    assert decide(samples, POLICY, Baseline(0.0, before)).verdict is verdict


@pytest.mark.parametrize(("bad", "verdict"), [(2, Verdict.WATCHING), (3, Verdict.ROLLBACK)])
def test_three_bad_windows_of_five_are_needed(bad: int, verdict: Verdict) -> None:
    """Two are a spike."""
    policy = Policy(seconds=100)
    samples = tuple(Sample(float(s), "", {"GET /": (10, 5 if s < 10 * bad else 0)}) for s in range(50))
    assert decide(samples, policy).verdict is verdict


def test_a_release_before_that_failed_as_often_is_no_reason() -> None:
    """What is measured is the difference that the release makes."""
    samples = tuple(Sample(float(s), "", {"GET /": (50, 4)}) for s in range(301))
    assert decide(samples, POLICY).verdict is Verdict.ROLLBACK
    assert decide(samples, POLICY, Baseline(7.0)).verdict is Verdict.HEALTHY


@pytest.mark.parametrize("one", watching.recorded(), ids=lambda one: one.name)
def test_what_was_recorded_on_a_deployment_is_judged_as_it_was(one: Series) -> None:
    """Good, bad and unused releases of which it is known what they are: `drills/bench/series.py`."""
    decision, second = watching.classified(one, decide)
    assert (decision.verdict, second <= one.latest) == (one.expected, True), f"{decision} at {second:g} s"
