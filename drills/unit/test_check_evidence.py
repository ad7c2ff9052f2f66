"""Below its budget a drill is inconclusive."""

from dataclasses import replace

import pytest

from fixtures.checks.evidence import MENDED, Budget, coverage, fault_lasts, fault_observed, steady, writes
from fixtures.faults.release import BadRelease
from fixtures.history import History, Mark, Sample, Write
from fixtures.verdict import Verdict

MARKS = (Mark("fault injected", 10, 0), Mark("rollback started", 15, 0), Mark("rollback ended", 20, 0))
WRITE = Write("project", "p", "1", "d", "u", 0, 0.1, "acknowledged", "v4.0.0")
TIMES = [0.0, 2.0, 4.0, 6.0, 8.0, 11.0, 13.0, 16.0, 18.0, 21.0, 23.0, 25.0, 27.0, 29.0]
BUDGET = Budget(gap=4)


def wrote(*times: float, outcome: str = "acknowledged") -> tuple[Write, ...]:
    """One write at each of these instants."""
    return tuple(replace(WRITE, sent=at, acked=at + 0.1, outcome=outcome) for at in times)  # type: ignore[arg-type]


def looked(*times: float, bad: tuple[float, ...] = ()) -> tuple[Sample, ...]:
    """One sample at each of these instants, some of them bad."""
    return tuple(Sample("read", at, at + 0.1, at not in bad, "v4.0.0") for at in times)


def test_writes_in_every_phase_are_enough() -> None:
    """Writes in every phase are enough."""
    finding = writes(History(writes=wrote(*TIMES), marks=MARKS), BUDGET)
    assert finding.verdict is Verdict.PASS
    assert finding.figures == {"before": 5, "during": 4, "after": 5, "attempts during": 4}


@pytest.mark.parametrize(
    ("kept", "phase"),
    [([t for t in TIMES if t > 10], "before"), ([t for t in TIMES if not 10 < t < 20], "during"),
     ([t for t in TIMES if t < 20], "after")],
    ids=["before", "during", "after"],
)  # fmt: skip
def test_a_phase_without_writes_is_inconclusive(kept: list[float], phase: str) -> None:
    """A phase without writes is inconclusive."""
    finding = writes(History(writes=wrote(*kept), marks=MARKS), BUDGET)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert f"0 {phase}" in finding.reason


def test_writes_that_were_not_acknowledged_do_not_count() -> None:
    """Writes that were not acknowledged do not count."""
    unknown = tuple(replace(write, outcome="unknown", acked=None) for write in wrote(*TIMES))
    assert writes(History(writes=unknown, marks=MARKS), BUDGET).verdict is Verdict.INCONCLUSIVE


def test_a_fault_that_stops_all_writes_still_needs_attempts() -> None:
    """A fault that stops all writes still needs attempts."""
    budget = Budget(during=0)
    quiet = wrote(*(t for t in TIMES if not 10 < t < 20))
    assert writes(History(writes=quiet, marks=MARKS), budget).verdict is Verdict.INCONCLUSIVE
    tried = wrote(11, 12, 13, outcome="unknown")
    assert writes(History(writes=quiet + tried, marks=MARKS), budget).verdict is Verdict.PASS


@pytest.mark.parametrize("missing", ["fault injected", "rollback ended"])
def test_without_marks_there_are_no_phases(missing: str) -> None:
    """Without marks there are no phases."""
    marks = tuple(mark for mark in MARKS if mark.name != missing)
    history = History(writes=wrote(*TIMES), samples=looked(*TIMES), marks=marks)
    assert writes(history, BUDGET).verdict is Verdict.INCONCLUSIVE
    assert coverage(history, BUDGET, ["read"]).verdict is Verdict.INCONCLUSIVE


def test_a_rollback_that_ended_before_the_fault_is_inconclusive() -> None:
    """A rollback that ended before the fault is inconclusive."""
    marks = (Mark("rollback ended", 5, 0), Mark("fault injected", 10, 0))
    assert writes(History(writes=wrote(*TIMES), marks=marks), BUDGET).verdict is Verdict.INCONCLUSIVE


def test_samples_in_every_phase_without_a_gap_are_enough() -> None:
    """Samples in every phase without a gap are enough."""
    assert coverage(History(samples=looked(*TIMES), marks=MARKS), BUDGET, ["read"]).verdict is Verdict.PASS


def test_probes_that_were_dead_for_a_while_are_inconclusive() -> None:
    """Probes that were dead for a while are inconclusive."""
    finding = coverage(History(samples=looked(*TIMES), marks=MARKS), Budget(gap=1), ["read"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "unseen for 3.00 s" in finding.reason


def test_probes_that_died_before_the_end_are_inconclusive() -> None:
    """Probes that died before the end are inconclusive."""
    history = History(samples=looked(*(t for t in TIMES if t < 14)), marks=MARKS)
    finding = coverage(history, BUDGET, ["read"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.figures["read longest gap"] == 7


def test_a_path_that_was_not_sampled_is_inconclusive() -> None:
    """A path that was not sampled is inconclusive."""
    history = History(samples=looked(*TIMES), marks=MARKS)
    assert coverage(history, BUDGET, ["read", "ml"]).verdict is Verdict.INCONCLUSIVE
    assert coverage(history, BUDGET, []).verdict is Verdict.INCONCLUSIVE


def test_a_fault_that_probes_saw_is_observed() -> None:
    """A fault that probes saw is observed."""
    history = History(samples=looked(*TIMES, bad=(11.0, 13.0)), marks=MARKS)
    finding = fault_observed(history)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["seen"] == 2


def test_a_fault_that_nobody_saw_is_inconclusive() -> None:
    """A fault that nobody saw is inconclusive."""
    assert fault_observed(History(samples=looked(*TIMES), marks=MARKS)).verdict is Verdict.INCONCLUSIVE


def test_a_fault_seen_only_once_the_rollback_ran_is_inconclusive() -> None:
    """A fault seen only once the rollback ran is inconclusive."""
    history = History(samples=looked(*TIMES, bad=(16.0,)), marks=MARKS)
    assert fault_observed(history).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("bad", "verdict"),
    [((11.0, 13.0), Verdict.PASS), ((), Verdict.INCONCLUSIVE), ((16.0,), Verdict.INCONCLUSIVE)],
    ids=["still there", "never", "only later"],
)
def test_a_fault_has_to_be_there_when_the_rollback_starts(bad: tuple[float, ...], verdict: Verdict) -> None:
    """What was not seen just before the rollback may have mended itself."""
    history = History(samples=looked(*TIMES, bad=bad), marks=MARKS)
    assert fault_lasts(history, lambda sample: not sample.ok).verdict is verdict


def test_a_fault_that_mends_itself_needs_no_rollback() -> None:
    """Seen when it was new, and not any more in the last seconds."""
    late = tuple(replace(mark, at=mark.at + 100) if mark.name == "rollback started" else mark for mark in MARKS)
    finding = fault_lasts(History(samples=looked(*TIMES, bad=(11.0, 13.0)), marks=late), lambda one: not one.ok)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "did it mend itself?" in finding.reason


def test_a_fault_that_somebody_else_mends_has_to_last_until_then() -> None:
    """It was there when he began, and not when the rollback started; without his mark it would have mended itself."""
    late = tuple(replace(mark, at=mark.at + 100) if mark.name == "rollback started" else mark for mark in MARKS)
    seen = looked(*TIMES, bad=(11.0, 13.0))
    in_time, too_late = (History(samples=seen, marks=(*late, Mark(MENDED, at, 0))) for at in (14.0, 60.0))
    assert fault_lasts(in_time, lambda one: not one.ok).verdict is Verdict.PASS
    assert fault_lasts(too_late, lambda one: not one.ok).verdict is Verdict.INCONCLUSIVE


def test_a_symptom_that_was_there_before_proves_nothing() -> None:
    """A symptom that was there before proves nothing."""
    history = History(samples=looked(*TIMES, bad=(4.0, 11.0)), marks=MARKS)
    finding = fault_observed(history)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.count == 1


def test_a_fault_that_is_told_by_the_time_of_its_deployment_is_known_again_in_what_was_before() -> None:
    """A fault that counts only what came after its deployment is known again in what was there before it."""
    fault = BadRelease("v4.1.0-x", "v4.0.0", "", lambda sample: not sample.ok)
    fault._deployments.append((10, 10.5))  # noqa: SLF001 -- deployed without a stack
    history = History(samples=looked(*TIMES, bad=(4.0, 11.0, 13.0)), marks=MARKS)
    assert fault_observed(history, fault.shows).verdict is Verdict.PASS
    finding = fault_observed(history, fault.shows, 1, fault.resembles)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "before the fault" in finding.reason


def test_a_stray_resemblance_before_the_fault_does_not_hide_it() -> None:
    """Less than it takes to call a fault seen is no symptom: one slow answer on a busy host."""
    history = History(samples=looked(*TIMES, bad=(4.0, 11.0, 13.0)), marks=MARKS)
    assert fault_observed(history, least=2).verdict is Verdict.PASS


@pytest.mark.parametrize("missing", ["fault injected", "rollback started"])
def test_a_fault_without_its_marks_is_inconclusive(missing: str) -> None:
    """A fault without its marks is inconclusive."""
    marks = tuple(mark for mark in MARKS if mark.name != missing)
    history = History(samples=looked(*TIMES, bad=(11.0,)), marks=marks)
    assert fault_observed(history).verdict is Verdict.INCONCLUSIVE


def test_a_steady_state_is_one_good_sample_of_each_path_and_no_bad_one() -> None:
    """A steady state is one good sample of each path and no bad one."""
    history = History(samples=looked(*TIMES, bad=(11.0,)), marks=MARKS)
    assert steady(history, ["read"]).verdict is Verdict.PASS
    assert steady(history, ["read", "ml"]).verdict is Verdict.INCONCLUSIVE
    assert steady(history, []).verdict is Verdict.INCONCLUSIVE


def test_a_system_that_was_ill_before_the_fault_is_inconclusive() -> None:
    """A system that was ill before the fault is inconclusive."""
    finding = steady(History(samples=looked(*TIMES, bad=(2.0, 4.0)), marks=MARKS), ["read"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.count == 2


def test_no_samples_at_all_is_inconclusive_everywhere() -> None:
    """No samples at all is inconclusive everywhere."""
    empty = History(marks=MARKS)
    found = [writes(empty, BUDGET), coverage(empty, BUDGET, ["read"]), fault_observed(empty), steady(empty, ["read"])]
    assert {finding.verdict for finding in found} == {Verdict.INCONCLUSIVE}
