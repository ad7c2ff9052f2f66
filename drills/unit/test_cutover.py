"""The instants of the cutover, read from the rollback's journal."""

from __future__ import annotations

import json

import pytest

from fixtures import cutover
from fixtures.cutover import moments

MOVE, HOME = "users served by v4.0.0", "users served by Compose's own services"


def journal(*entries: tuple[float, str, str]) -> str:
    """Entries as (mono, event, step)."""
    return "".join(
        json.dumps({"run": "r1", "mono": at, "event": event, "data": {"step": step} if step else {}}) + "\n"
        for at, event, step in entries
    )


USUAL = ((10, "begin", ""), (11, "intent", MOVE), (12, "done", MOVE), (13, "intent", HOME), (14, "done", HOME))


def read(*entries: tuple[float, str, str], since: float = 0) -> dict[str, float]:
    """The instants by name."""
    found = moments(journal(*entries), since)
    assert [mark.at for mark in found] == sorted(mark.at for mark in found)
    return {mark.name: mark.at for mark in reversed(found)}


def test_a_cutover_begins_with_the_intent_and_ends_with_the_proof() -> None:
    """A cutover begins with the intent and ends with the proof; the way home to Compose is none."""
    assert read(*USUAL) == {"cutover begun": 11, "edge switched": 12}


def test_after_a_kill_the_first_intent_and_the_first_proof_count() -> None:
    """After a kill the first intent counts, and the first proof, also if the switch is only found made."""
    killed = ((11, "intent", MOVE), (15, "resume", ""))
    assert read(*killed, (16, "skipped", MOVE)) == {"cutover begun": 11, "edge switched": 16}
    assert read(*killed, (16, "intent", MOVE), (17, "done", MOVE)) == {"cutover begun": 11, "edge switched": 17}


def test_an_abort_is_the_order_to_take_back() -> None:
    """An abort is the order to take back."""
    found = read(*USUAL, (15, "abort", ""), (15.5, "undone", HOME), (16, "undone", MOVE))
    assert (found["taking back"], found["users back"]) == (15, 16)


def test_what_an_earlier_run_did_is_no_moment_of_this_one() -> None:
    """What an earlier run did is no moment of this one."""
    assert read(*USUAL, since=20) == {}


@pytest.mark.parametrize("text", ["", '{"mono": 11, "event": "int'], ids=["no journal", "a line that a kill cut"])
def test_a_journal_that_says_nothing(text: str) -> None:
    """No journal, or a line that a kill has cut, says nothing."""
    assert moments(text, 0) == ()


def test_an_outage_begins_with_the_intent_to_stop_writes_and_ends_with_the_proof_of_work() -> None:
    """The restored database takes over as a release does; around it lies the outage that was announced."""
    stop, swap, work = "writes stopped, and listed", "users served by the database of b", "applications at work with it"
    entries = ((11, "intent", stop), (12, "done", stop), (13, "intent", swap), (14, "done", swap), (15, "done", work))
    assert read(*entries) == {"outage begun": 11, "cutover begun": 13, "edge switched": 14, "outage over": 15}
    assert "outage over" not in read(*entries[:-1], (15, "intent", work))


def test_a_target_that_is_watched_is_proven_by_that() -> None:
    """Blue-green: until the watching has ended, users may be taken back from it."""
    watch = "green watched for 10 s"
    begin = {"run": "r", "event": "begin", "mono": 10, "data": {"steps": [MOVE, watch]}}
    events = ((11, "intent", MOVE), (12, "done", MOVE), (13, "intent", watch), (20, "done", watch))
    told = [begin] + [{"run": "r", "event": event, "mono": at, "data": {"step": step}} for at, event, step in events]
    found = cutover.moments("".join(json.dumps(one) + "\n" for one in told), 0.0)
    assert [(one.name, one.at) for one in found] == [(cutover.BEGUN, 11), (cutover.SWITCHED, 20)]
