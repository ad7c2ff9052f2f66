"""Outages, recovery and downtime from hand-written samples."""

import pytest

from fixtures.checks.availability import Interval, downtime, objective_met, outages, rto, rtos
from fixtures.history import History, Mark, Sample
from fixtures.verdict import Verdict

NEW, OLD = "v4.1.0", "v4.0.0"


def samples(text: str, spacing: float = 1.0, took: float = 0.125, start: float = 0.0) -> list[Sample]:
    """One sample a letter: o is ok with the old release, n with the new, x is not ok."""
    release = {"o": OLD, "n": NEW, "x": None}
    return [
        Sample("read", start + i * spacing, start + i * spacing + took, letter != "x", release[letter])
        for i, letter in enumerate(text)
    ]


def test_an_outage_lies_between_the_good_samples_around_it() -> None:
    """An outage lies between the good samples around it."""
    (outage,) = outages(samples("ooxxxoo"))
    assert outage.certain() == (2.125, 4.0)
    assert outage.possible(0, 9) == (1.0, 5.125)


def test_no_sample_is_no_outage_and_no_knowledge() -> None:
    """No sample is no outage and no knowledge."""
    assert outages([]) == []
    assert downtime([], 10, 14) == Interval(0, 4)


def test_samples_outside_the_window_say_nothing_about_it() -> None:
    """Samples outside the window say nothing about it."""
    assert downtime(samples("ooo"), 10, 14) == Interval(0, 4)


def test_a_path_that_was_never_up_was_down_for_the_whole_window() -> None:
    """A path that was never up was down for the whole window."""
    assert downtime(samples("xxxxx"), 0, 5) == Interval(3.875, 5)


def test_downtime_of_a_good_run_is_nothing() -> None:
    """Downtime of a good run is nothing."""
    assert downtime(samples("oooo"), 0, 3) == Interval(0, 0)


def test_flapping_counts_the_shared_good_sample_once() -> None:
    """Flapping counts the shared good sample once."""
    found = downtime(samples("oxoxoxo"), 0, 6.125)
    assert found.low == 0
    assert found.high == 6.125


def test_a_window_cuts_an_outage() -> None:
    """A window cuts an outage."""
    found = downtime(samples("ooxxxxoo"), 3, 4)
    assert found == Interval(1, 1)


def test_outages_that_overlap_in_time_are_not_added_twice() -> None:
    # open loop: a question that hangs for 2 s is still open when later ones are answered
    """Outages that overlap in time are not added twice."""
    hung = [Sample("read", at, at + 2, ok=False, release=None) for at in (1.0, 1.2)]
    fine = [Sample("read", at, at + 0.125, ok=True, release=OLD) for at in (0.0, 1.125, 1.25)]
    found = downtime([*hung, *fine], 0, 5)
    assert len(outages([*hung, *fine])) == 2
    assert found == Interval(0, 1.375)


def test_equal_stamps_do_not_break_the_order() -> None:
    """Equal stamps do not break the order."""
    same = [Sample("read", 1.0, 1.0, ok, OLD) for ok in (True, False, True)]
    assert downtime(same, 1.0, 1.0) == Interval(0, 0)
    assert rto(same, 1.0, OLD, stable=0) == Interval(0, 0)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    """A window that ends before it starts is refused."""
    with pytest.raises(ValueError, match="before it starts"):
        downtime(samples("o"), 2, 1)


def test_samples_of_two_paths_are_refused() -> None:
    """Samples of two paths are refused."""
    with pytest.raises(ValueError, match="one path"):
        outages([*samples("o"), Sample("ml", 0, 1, ok=True, release=OLD)])


def test_recovery_is_bounded_by_the_last_bad_question_and_the_first_good_answer() -> None:
    """Recovery is bounded by the last bad question and the first good answer."""
    assert rto(samples("nnxxooooo"), 2, OLD, stable=3) == Interval(1, 2.125)


def test_an_answer_of_the_wrong_release_is_no_recovery() -> None:
    """An answer of the wrong release is no recovery."""
    assert rto(samples("nnnnnnnn"), 2, OLD, stable=3) is None
    assert rto(samples("xxnnoooo"), 0, OLD, stable=3) == Interval(3, 4.125)


def test_one_bad_sample_late_in_the_record_moves_the_recovery_behind_it() -> None:
    """One bad sample late in the record moves the recovery behind it."""
    assert rto(samples("xxoooxoooo"), 0, OLD, stable=3) == Interval(5, 6.125)
    assert rto(samples("xxooooooox"), 0, OLD, stable=3) is None


def test_a_good_run_that_was_not_watched_long_enough_is_no_recovery() -> None:
    """A good run that was not watched long enough is no recovery."""
    assert rto(samples("xxooo"), 0, OLD, stable=3) is None


def test_a_path_that_was_never_away_is_back_with_its_first_answer() -> None:
    """A path that was never away is back with its first answer."""
    assert rto(samples("ooooo"), 0, OLD, stable=3) == Interval(0, 0.125)


def test_no_sample_after_the_start_is_no_recovery() -> None:
    """No sample after the start is no recovery."""
    assert rto(samples("ooooo"), 10, OLD, stable=0) is None
    assert rto([], 0, OLD, stable=0) is None


def test_without_the_mark_no_path_has_a_recovery_time() -> None:
    """Without the mark no path has a recovery time."""
    history = History(samples=tuple(samples("ooooo")))
    assert rtos(history, {"read": OLD}, stable=1) == {"read": None}


def test_the_clock_starts_at_the_first_mark() -> None:
    """The clock starts at the first mark."""
    marks = (Mark("rollback started", 2.0, 0), Mark("rollback started", 4.0, 0))
    history = History(samples=tuple(samples("oxxxooooo")), marks=marks)
    assert rtos(history, {"read": OLD}, stable=1) == {"read": Interval(1, 2.125)}


def test_the_upper_bound_is_held_against_the_objective() -> None:
    """The upper bound is held against the objective."""
    assert objective_met({"read": Interval(0.5, 1.0)}, 1.0).verdict is Verdict.PASS
    finding = objective_met({"read": Interval(0.5, 1.01), "ml": Interval(0, 0.2)}, 1.0)
    assert finding.verdict is Verdict.FAIL
    assert finding.count == 1
    assert finding.first
    assert "read" in finding.first


def test_a_path_that_never_came_back_misses_every_objective_and_is_the_worst() -> None:
    """A path that never came back misses every objective and is the worst."""
    finding = objective_met({"read": Interval(9, 99), "ml": None}, 5)
    assert finding.verdict is Verdict.FAIL
    assert finding.worst == "ml was never back for good"


def test_no_path_is_inconclusive() -> None:
    """No path is inconclusive."""
    assert objective_met({}, 5).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1), (2, 1)], ids=["negative", "upside down"])
def test_an_interval_has_to_be_one(low: float, high: float) -> None:
    """An interval has to be one."""
    with pytest.raises(ValueError, match="not an interval"):
        Interval(low, high)
