"""Whether a release stays: a pure function of what was seen and of the policy. Runbook: Rollback Automation."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Baseline", "Decision", "Policy", "Sample", "Verdict", "decide"]

#: A gap between two samples counts as at most so many intervals: the clock may jump, or the host may have slept.
_GAP = 5
_HALF = 0.5
#: Below that a host that is busy for a moment makes any release many times slower.
_NOISE_SECONDS = 0.02


class Verdict(StrEnum):
    """What is to be done with the release."""

    WATCHING = "watching"
    HEALTHY = "healthy"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True)
class Policy:
    """When a release is bad. Seconds, percent of the requests, counts.

    Attributes:
        seconds: how long the release is watched.
        interval: between two samples.
        window_seconds: least length of a window; it stays open until it holds `requests` as well.
        error_percent: so many percent above the release before may fail with 5xx.
        error_lines: in `window_seconds` so many lines of the logs may report an error, or `error_percent` of the
            requests, if that is more.
        ill_percent: in so many percent of a window's samples a service may be ill.
        slower: so many times the latency of the release before is too slow, from `slow_seconds` on.
        far_slower: so many times is too slow from 20 ms on, however quick it still is: more users, and it is not.
        windows: how many of the newest windows are looked at.
        bad_windows: so many of them have to be bad.
        group_requests: least evidence about one group of requests (method and first words of the path).
        start_seconds: so long a service may take to become healthy at first.
    """

    seconds: float = 300
    interval: float = 1
    window_seconds: float = 10
    requests: int = 50
    error_percent: float = 5
    error_lines: int = 5
    ill_percent: float = 30
    slower: float = 3
    slow_seconds: float = 0.25
    far_slower: float = 8
    windows: int = 5
    bad_windows: int = 3
    group_requests: int = 20
    start_seconds: float = 20


@dataclass(frozen=True)
class Baseline:
    """The release before: percent of its requests that failed, and the median of its answers in seconds, if known."""

    error_percent: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class Sample:
    """What was seen in one interval.

    Attributes:
        at: monotonic seconds.
        ill: which service is ill and how; "" when all are well; None when nobody could be asked.
        counts: by group, the requests and how many of them failed; None when their source could not be read.
        seconds: median of the answers; None where there were none.
        errors: lines in the services' logs that report an error, as far as these could be read; None when none could.
        unread: services whose log could not be read.
    """

    at: float
    ill: str | None
    counts: Mapping[str, tuple[int, int]] | None
    seconds: float | None = None
    errors: int | None = None
    unread: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    """A verdict and its sentence: the observed value, the operator and the limit."""

    verdict: Verdict
    sentence: str


@dataclass
class _Window:
    age: float = 0.0
    asked: int = 0
    ill: list[str] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    errors: int = 0

    def take(self, sample: Sample, age: float) -> None:
        """Add what one sample saw."""
        self.age += age
        if sample.ill is not None:
            self.asked += 1
            self.ill += [sample.ill] if sample.ill else []
        for group, (total, failed) in (sample.counts or {}).items():
            self.total[group] += total
            self.failed[group] += failed
        self.seconds += [sample.seconds] if sample.seconds is not None else []
        self.errors += sample.errors or 0

    def closed(self, policy: Policy) -> bool:
        """Long enough, and evidence enough: what is ill or reports errors needs no requests to be seen."""
        return self.age >= policy.window_seconds and (
            self.total.total() >= policy.requests or bool(self.is_ill(policy) or self._reports(policy))
        )

    def is_ill(self, policy: Policy) -> str:
        """That a service was ill for too long a share of it."""
        share = 100 * len(self.ill) / self.asked if self.asked else 0.0
        told = f"{self.ill[-1]} in {share:.0f} % of the looks > {policy.ill_percent:g} %" if self.ill else ""
        return told if share > policy.ill_percent else ""

    def bad(self, policy: Policy, baseline: Baseline) -> str:
        """Why it is bad; "" when it is not."""
        return (
            self.is_ill(policy)
            or self._fails(policy, baseline)
            or self._slow(policy, baseline)
            or self._reports(policy)
        )

    def _reports(self, policy: Policy) -> str:
        length = max(1.0, self.age / policy.window_seconds)
        limit = max(policy.error_lines * length, self.total.total() * policy.error_percent / 100)
        told = f"{self.errors} lines of the services' logs report an error > {limit:g}"
        return told if self.errors > limit else ""

    def _fails(self, policy: Policy, baseline: Baseline) -> str:
        total, failed = self.total.total(), self.failed.total()
        limit = baseline.error_percent + policy.error_percent
        share = 100 * failed / total if total else 0.0
        enough = total >= policy.requests
        return f"{failed} of {total} requests failed: {share:.1f} % > {limit:.1f} %" if enough and share > limit else ""

    def _slow(self, policy: Policy, baseline: Baseline) -> str:
        if baseline.seconds is None or not self.seconds or self.total.total() < policy.requests:
            return ""
        took = statistics.median(self.seconds)
        slow = max(policy.slower * baseline.seconds, policy.slow_seconds)
        limit = min(slow, max(policy.far_slower * baseline.seconds, _NOISE_SECONDS))
        return f"the median answer took {took:.3f} s > {limit:.3f} s" if took > limit else ""


def decide(samples: Sequence[Sample], policy: Policy, baseline: Baseline | None = None) -> Decision:
    """Decide from all samples since the watch began, oldest first.

    No data is never healthy, and never by itself a rollback. A single bad window is neither.
    """
    before = baseline or Baseline()
    steps = list(_steps(samples, policy))
    closed, newest = _windows(steps, policy)
    reason = _several(closed[-policy.windows :], policy, before) or _one_group(closed, policy, before)
    if reason:
        return Decision(Verdict.ROLLBACK, reason)
    elapsed = sum(age for _, age in steps)
    if elapsed < policy.seconds:
        return Decision(Verdict.WATCHING, f"{elapsed:.0f} s of {policy.seconds:g} s, {len(closed)} windows")
    end = _end(samples, closed, newest, policy, before)
    return Decision(end.verdict, end.sentence + _unread(samples))


def _unread(samples: Sequence[Sample]) -> str:
    """Which logs could not be read and how often: that no error is known of them is no good news."""
    often = Counter(name for one in samples for name in one.unread)
    told = [f"{name} in {count} of {len(samples)} looks" for name, count in sorted(often.items())]
    return f"; logs that could not be read: {', '.join(told)}" if told else ""


def _steps(samples: Sequence[Sample], policy: Policy) -> Iterable[tuple[Sample, float]]:
    """Each sample with the seconds that it stands for, whatever the clock did."""
    previous: float | None = None
    for sample in samples:
        gap = policy.interval if previous is None else sample.at - previous
        yield sample, gap if 0 < gap <= _GAP * policy.interval else policy.interval
        previous = sample.at


def _windows(steps: Iterable[tuple[Sample, float]], policy: Policy) -> tuple[list[_Window], _Window]:
    """The closed windows, and the open one; what happens while a release starts belongs to none."""
    closed: list[_Window] = []
    window, started, elapsed = _Window(), False, 0.0
    for sample, age in steps:
        elapsed += age
        started = started or sample.ill == "" or elapsed > policy.start_seconds
        if not started:
            continue
        window.take(sample, age)
        if window.closed(policy):
            closed.append(window)
            window = _Window()
    return closed, window


def _several(windows: Sequence[_Window], policy: Policy, baseline: Baseline) -> str:
    reasons = [told for told in (one.bad(policy, baseline) for one in windows) if told]
    enough = len(reasons) >= policy.bad_windows
    return f"{len(reasons)} of {len(windows)} windows were bad; the last one: {reasons[-1]}" if enough else ""


def _one_group(closed: Sequence[_Window], policy: Policy, baseline: Baseline) -> str:
    """One group of requests that fails in window after window, though the others hide it."""
    windows = closed[-policy.windows :]
    limit = baseline.error_percent + policy.error_percent
    for group in sorted({name for one in windows for name in one.total}):
        total, failed = sum(one.total[group] for one in windows), sum(one.failed[group] for one in windows)
        often = sum(_worse(one, group, limit) for one in windows)
        if total >= policy.group_requests and 100 * failed / total > 2 * limit and often >= policy.bad_windows:
            return f"{failed} of {total} requests {group} failed: {100 * failed / total:.1f} % > {2 * limit:.1f} %"
    return ""


def _worse(window: _Window, group: str, limit: float) -> bool:
    return 100 * window.failed[group] > limit * window.total[group]


def _end(
    samples: Sequence[Sample], closed: Sequence[_Window], newest: _Window, policy: Policy, baseline: Baseline
) -> Decision:
    """The time is over and nothing was bad enough: was there enough to call it healthy?"""
    for what, dead in (
        ("health", sum(one.ill is None for one in samples)),
        ("requests", sum(one.counts is None for one in samples)),
    ):
        if dead > _HALF * len(samples):
            return Decision(Verdict.ERROR, f"{what} could not be read in {dead} of {len(samples)} samples > half")
    total = sum(one.total.total() for one in (*closed, newest))
    if total < policy.requests:
        return Decision(Verdict.INCONCLUSIVE, f"{total} requests < {policy.requests}: nobody knows how it serves")
    last = (newest.is_ill(policy) if newest.asked else "") or (closed[-1].bad(policy, baseline) if closed else "")
    if last:
        return Decision(Verdict.INCONCLUSIVE, f"the time is over, and it was bad in the end: {last}")
    failed = sum(one.failed.total() for one in (*closed, newest))
    return Decision(Verdict.HEALTHY, f"{failed} of {total} requests failed in {len(closed)} windows")
