"""Whose fault a failed request was."""

from dataclasses import replace

import pytest

from fixtures.checks.requests import attribute, failed_by_rollback
from fixtures.history import History, Mark, Request
from fixtures.verdict import Verdict

GOOD = Request("fresh", "read", "/api/projects", "GET", 0, 0.1, 200, ok=True, reason="", release="v4.0.0")
MARKS = (
    Mark("fault injected", 10, 0),
    Mark("rollback started", 20, 0),
    Mark("cutover begun", 21.5, 0),
    Mark("edge switched", 22, 0),
    Mark("rollback ended", 30, 0),
)


def at(sent: float, done: float | None = None, **changes: object) -> Request:
    """A good request with changes."""
    return replace(GOOD, sent=sent, done=sent + 0.1 if done is None else done, **changes)  # type: ignore[arg-type]


def failed(sent: float, done: float | None = None, **changes: object) -> Request:
    """A failed request with changes."""
    return at(sent, done, **{"ok": False, "status": 502, "reason": "502: bad gateway", **changes})


def history(*requests: Request, marks: tuple[Mark, ...] = MARKS) -> History:
    """Good requests in every phase, and these."""
    return History(requests=(at(1), at(15), at(21), at(25), at(35), *requests), marks=marks)


FAULTY = "v4.1.0-x"


class Reads:
    """The fault breaks reading; it is certain where its release says so."""

    def explains(self, request: Request) -> bool:
        """Any read."""
        return request.path == "read"

    def owns(self, request: Request) -> bool:
        """A read that its own release answered."""
        return self.explains(request) and request.release == FAULTY


reads = Reads()


def test_no_failure_passes() -> None:
    """No failure passes."""
    finding = failed_by_rollback(history(), reads)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["total"] == 5


def test_what_the_fault_explains_is_its_own_until_users_are_being_moved() -> None:
    """What the fault explains is its own until users are being moved."""
    found = attribute(history(failed(11), failed(21.4), failed(21.5)), reads)
    assert [request.sent for request in found.fault] == [11, 21.4]
    assert [request.sent for request in found.rollback] == [21.5]


def test_while_users_are_moved_the_fault_owns_what_its_release_answered() -> None:
    """While users are moved the fault owns what its own release answered, and nothing that another did or nobody."""
    asked = [failed(21.6, release=who) for who in (FAULTY, "v4.0.0", None)]
    found = attribute(history(*asked), reads)
    assert [request.release for request in found.fault] == [FAULTY]
    assert [request.release for request in found.rollback] == ["v4.0.0", None]


def test_after_the_proof_of_the_switch_nothing_is_the_faults() -> None:
    """After the proof of the switch nothing is the fault's, even if its release answered: users were to be away."""
    found = attribute(history(failed(22, release=FAULTY), failed(25, release=FAULTY)), reads)
    assert not found.fault
    assert len(found.rollback) == 2


def test_a_request_sent_before_the_move_and_answered_after_it_is_judged_by_when_it_was_sent() -> None:
    """A request sent before the move and answered after it is judged by when it was sent."""
    found = attribute(history(failed(21.4, 24)), reads)
    assert len(found.fault) == 1


def test_who_is_taken_back_to_the_faulty_release_meets_the_fault_again() -> None:
    """Who is taken back to the faulty release meets the fault again; what others answer is the rollback's."""
    marks = (*MARKS, Mark("taking back", 26, 0))
    asked = [failed(at, release=who) for at, who in ((25, FAULTY), (27, FAULTY), (27, "v4.0.0"), (27, None))]
    found = attribute(history(*asked, marks=marks), reads)
    assert [(request.sent, request.release) for request in found.fault] == [(27, FAULTY)]
    assert len(found.rollback) == 3


def test_who_is_back_for_certain_meets_the_fault_as_before() -> None:
    """Once users are proven to be back, the faulty release alone serves: what the fault explains is its own."""
    marks = (*MARKS, Mark("taking back", 26, 0), Mark("users back", 27, 0), Mark("cutover begun", 28, 0))
    found = attribute(history(failed(26.5), failed(27.5), failed(28.5), marks=marks), reads)
    assert [request.sent for request in found.fault] == [27.5]
    assert [request.sent for request in found.rollback] == [26.5, 28.5]


def test_a_move_that_was_killed_and_never_proven_leaves_open_who_serves() -> None:
    """A move that was killed and never proven leaves open who serves: only what is certain is the fault's."""
    marks = tuple(mark for mark in MARKS if mark.name != "edge switched")
    asked = (failed(21.6, release=FAULTY), failed(27, release=FAULTY), failed(27, release="v4.0.0"), failed(27.5))
    found = attribute(history(*asked, marks=marks), reads)
    assert [request.sent for request in found.fault] == [21.6, 27]
    assert len(found.rollback) == 2


def test_users_who_are_moved_again_after_an_abort_are_away_for_good() -> None:
    """Users who are moved again after an abort are away: what fails then is never the fault's."""
    again = (Mark("taking back", 26, 0), Mark("cutover begun", 27, 0), Mark("edge switched", 28, 0))
    asked = [failed(at, release=FAULTY) for at in (25, 26.5, 27.5, 28.5)]
    found = attribute(history(*asked, marks=(*MARKS, *again)), reads)
    assert [request.sent for request in found.fault] == [26.5, 27.5]
    assert [request.sent for request in found.rollback] == [25, 28.5]


def test_a_proof_without_its_intent_excuses_only_what_is_certain() -> None:
    """A proof without its intent: what failed since the rollback started is excused only where it is certain."""
    marks = tuple(mark for mark in MARKS if mark.name != "cutover begun")
    found = attribute(history(failed(19), failed(21), failed(21, release=FAULTY), marks=marks), reads)
    assert [(request.sent, request.release) for request in found.fault] == [(19, "v4.0.0"), (21, FAULTY)]


def test_a_request_that_ended_before_the_fault_is_not_its_own_whoever_answered() -> None:
    """A request that ended before the fault is not its own, whoever answered."""
    found = attribute(history(failed(9, 9.9, release=FAULTY)), reads)
    assert len(found.unexplained) == 1


def test_what_the_fault_did_not_declare_belongs_to_the_rollback_once_it_started() -> None:
    """What the fault did not declare belongs to the rollback once it started."""
    finding = failed_by_rollback(history(failed(20.5, path="write", cls="post")), reads)
    assert finding.verdict is Verdict.FAIL
    assert finding.count == 1
    assert finding.figures["post failed by rollback"] == 1
    assert finding.first
    assert "502: bad gateway" in finding.first


def test_a_request_under_way_when_the_rollback_started_was_cut_by_it() -> None:
    """A request under way when the rollback started was cut by it."""
    found = attribute(history(failed(19, 20.5, path="write")), reads)
    assert len(found.rollback) == 1


def test_failures_after_the_end_still_belong_to_the_rollback() -> None:
    """Failures after the end still belong to the rollback."""
    assert failed_by_rollback(history(failed(34)), reads).verdict is Verdict.FAIL


def test_some_may_be_allowed_and_not_one_more() -> None:
    """Some may be allowed and not one more."""
    assert failed_by_rollback(history(failed(25)), reads, allowed=1).verdict is Verdict.PASS
    assert failed_by_rollback(history(failed(25), failed(26)), reads, allowed=1).verdict is Verdict.FAIL


def test_a_failure_before_the_fault_makes_the_drill_inconclusive() -> None:
    """A failure before the fault makes the drill inconclusive."""
    finding = failed_by_rollback(history(failed(5)), reads)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.count == 1


def test_without_the_mark_of_the_fault_nothing_is_excused() -> None:
    """Without the mark of the fault nothing is excused."""
    finding = failed_by_rollback(history(failed(21), marks=MARKS[1:]), reads)
    assert finding.verdict is Verdict.FAIL


def test_without_a_switch_nothing_after_the_start_is_excused() -> None:
    """Without a switch nothing after the start is excused."""
    marks = tuple(mark for mark in MARKS if mark.name not in ("cutover begun", "edge switched"))
    found = attribute(history(failed(15), failed(21), marks=marks), reads)
    assert len(found.fault) == 1
    assert len(found.rollback) == 1


@pytest.mark.parametrize("missing", ["rollback started", "rollback ended"])
def test_without_the_marks_of_the_rollback_it_is_inconclusive(missing: str) -> None:
    """Without the marks of the rollback it is inconclusive."""
    marks = tuple(mark for mark in MARKS if mark.name != missing)
    finding = failed_by_rollback(history(marks=marks), reads)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert missing in finding.reason


def test_no_request_while_the_rollback_ran_is_inconclusive() -> None:
    """No request while the rollback ran is inconclusive."""
    finding = failed_by_rollback(History(requests=(at(1), at(35)), marks=MARKS), reads)
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_no_request_at_all_is_inconclusive() -> None:
    """No request at all is inconclusive."""
    assert failed_by_rollback(History(marks=MARKS), reads).verdict is Verdict.INCONCLUSIVE


def test_the_worst_is_the_one_that_waited_longest() -> None:
    """The worst is the one that waited longest."""
    slow = failed(25, 33, status=None, reason="no answer within 8 s", release=None)
    finding = failed_by_rollback(history(failed(24), slow), reads)
    assert finding.worst
    assert "no answer within 8 s" in finding.worst


def test_signing_in_again_is_counted_and_no_failure() -> None:
    """Signing in again is counted and no failure."""
    finding = failed_by_rollback(history(at(25, status=401)), reads)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["signed in again"] == 1


STOPPED = (
    Mark("fault injected", 10, 0),
    Mark("rollback started", 20, 0),
    Mark("outage begun", 23, 0),
    Mark("cutover begun", 24, 0),
    Mark("edge switched", 25, 0),
    Mark("outage over", 26, 0),
    Mark("rollback ended", 30, 0),
)


def test_what_falls_into_an_announced_outage_is_counted_apart() -> None:
    """An outage that the plan announced excuses what was under way in it, and nothing before or after."""
    during = (failed(22.5, 23.5), failed(24.5), failed(25.9, 28))
    found = attribute(history(*during, failed(24.1, path="write"), marks=STOPPED), reads, outage=True)
    assert [one.sent for one in found.announced] == [24.5, 25.9, 24.1]
    assert [one.sent for one in found.fault] == [22.5]
    outside = (failed(22, 22.5, path="write"), failed(26.5))
    assert attribute(history(*outside, marks=STOPPED), reads, outage=True).rollback == outside


def test_who_came_after_the_backup_is_not_known_after_it() -> None:
    """Not known any more is announced as well, and only after the outage began; any other failure is not."""
    unknown = (failed(27, status=401), failed(28, status=404))
    known_not_before = failed(22, status=404, path="write")
    found = attribute(history(*unknown, known_not_before, failed(29, status=500), marks=STOPPED), reads, outage=True)
    assert found.announced == unknown
    assert [one.sent for one in found.rollback] == [22, 29]


def test_an_outage_excuses_nothing_that_was_not_announced_or_whose_end_nobody_saw() -> None:
    """Without the announcement, or without the proof that it ended, every failure is the rollback's."""
    unended = tuple(mark for mark in STOPPED if mark.name != "outage over")
    for marks, outage in ((STOPPED, False), (unended, True)):
        found = attribute(history(failed(24.5), marks=marks), reads, outage=outage)
        assert len(found.rollback) == 1
        assert not found.announced
