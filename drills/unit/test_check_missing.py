"""The count of missing writes is that of the users' own record, but for what was under way at its ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fixtures.checks.missing import bounds, counted, in_the_postmortem
from fixtures.history import History, Mark, Request, SignIn, Write
from fixtures.verdict import Verdict

#: The backup is of 1000 s on the monotonic clock, the rollback begins at 1100 s, the edge is kept at 1110 s.
BEGIN, GONE, KEPT = 1000.0, 1100.0, 1110.0
TAKEN = (998.0, 1004.0)
WALL = 1_700_000_000.0
SEEN = f"what was written from {datetime.fromtimestamp(WALL, UTC).isoformat()[:19]} UTC to the failure: at most 3"


def request(sent: float, status: int | None = 201, method: str = "POST") -> Request:
    """A user's, which took half a second."""
    return Request("post", "write", "/api/projects", method, sent, sent + 0.5, status, status == 201, "", "v1")


def write(sent: float, acked: float | None, who: str = "probe-1", outcome: str = "acknowledged") -> Write:
    """A line of the ledger."""
    return Write("project", f"{who}-p1", "1", None, None, sent, acked, outcome, "v1")  # type: ignore[arg-type]


def history(*records: Request | Write | SignIn) -> History:
    """With the marks of a drill, whose clock began at some time."""
    kinds = {kind: tuple(one for one in records if isinstance(one, kind)) for kind in (Request, Write, SignIn)}
    marks = (Mark("fault injected", BEGIN - 5, WALL - 5), Mark("rollback started", GONE, WALL + 100))
    return History(kinds[Request], kinds[Write], marks=marks, sign_ins=kinds[SignIn])  # type: ignore[arg-type]


RECORDS = {
    "in the middle": (request(1050), (1, 1)),
    "deleted": (request(1050, 204, "DELETE"), (1, 1)),
    "read": (request(1050, 200, "GET"), (0, 0)),
    "refused": (request(1050, 503), (0, 0)),
    "not answered": (request(1050, None), (0, 1)),
    "before": (request(998), (0, 0)),
    "at the beginning": (request(999.8), (0, 1)),
    "stamped later": (request(998.6), (0, 1)),
    "while it ends": (request(1105), (0, 1)),
    "afterwards": (request(1120), (0, 0)),
    "of a probe": (write(1050, 1050.2), (1, 1)),
    "of a probe, not answered": (write(1050, None, outcome="unknown"), (0, 1)),
    "of a probe, refused": (write(1050, 1050.2, outcome="refused"), (0, 0)),
    "of a user, whose request counts": (write(1050, 1050.2, "user-1"), (0, 0)),
    "of a probe that signs in": (SignIn("probe-1", 1050, None, 1200, "held"), (1, 1)),
    "of a probe that signed in about then": (SignIn("probe-1", 1003, None, 1200, "held"), (0, 1)),
}


@pytest.mark.parametrize(("record", "wanted"), RECORDS.values(), ids=RECORDS)
def test_what_changes_something_counts_once(record: Request | Write | SignIn, wanted: tuple[int, int]) -> None:
    """In the time alone; at its ends, and without an answer, it may."""
    assert bounds(history(record), BEGIN, GONE, KEPT) == wanted


@pytest.mark.parametrize(
    ("count", "verdict"), [(1, Verdict.FAIL), (2, Verdict.PASS), (3, Verdict.PASS), (4, Verdict.FAIL)]
)
def test_a_count_that_is_too_small_or_too_great_fails(count: int, verdict: Verdict) -> None:
    """Two were acknowledged in the time that the sentence names, and a third had no answer."""
    seen = history(request(1050), write(1060, 1060.2), request(1070, None), request(900))
    found = counted(seen, count, SEEN, TAKEN, GONE, KEPT)
    assert (found.verdict, found.figures) == (verdict, {"least": 2, "most": 3})
    assert found.reason.startswith(f"told are {count}, users and probes were acknowledged 2 to 3; from +2.0 s after")


@pytest.mark.parametrize(
    ("seen", "taken", "verdict"),
    [
        (SEEN, TAKEN, Verdict.PASS),
        (SEEN, (1000.9, 1004.0), Verdict.PASS),
        (SEEN, (1001.1, 1004.0), Verdict.FAIL),
        (SEEN, (990.0, 999.0), Verdict.FAIL),
        ("something is missing", TAKEN, Verdict.FAIL),
    ],
    ids=["within", "its second", "before", "after", "no time"],
)
def test_the_time_that_is_told_is_that_of_the_backup(seen: str, taken: tuple[float, float], verdict: Verdict) -> None:
    """Who tells another one may count what it likes."""
    assert counted(history(request(1050)), 1, seen, taken, GONE, KEPT).verdict is verdict


AT_MOST = "at most {} acknowledged requests that change something are missing, of 1 min 30 s"
NONE = "no acknowledged request that changes something is missing"
NOT_KNOWN = "not known: how many of the writes of 1 min 30 s are missing"
DENIED = "no row was taken away by a step"


@pytest.mark.parametrize(
    ("loss", "lost", "told", "verdict"),
    [
        (AT_MOST.format(12), 10, 12, Verdict.PASS),
        (AT_MOST.format(12), 13, 12, Verdict.FAIL),
        (AT_MOST.format(11), 10, 12, Verdict.FAIL),
        (NONE, 0, 0, Verdict.PASS),
        (NONE, 1, 0, Verdict.FAIL),
        (NONE, 1, 12, Verdict.FAIL),
        (NOT_KNOWN, 10, None, Verdict.PASS),
        (NOT_KNOWN, 10, 12, Verdict.FAIL),
        (AT_MOST.format(12), 10, None, Verdict.FAIL),
        (DENIED, 10, 12, Verdict.FAIL),
        (DENIED, 0, None, Verdict.FAIL),
        ("", 0, 0, Verdict.FAIL),
    ],
    ids=["covers it", "too few", "another count", "none", "none, and some are gone", "none, others told", "not known",
         "not known, others told", "a count that nobody has", "denied", "denied, not known", "nothing said"],
)  # fmt: skip
def test_the_post_mortem_has_the_count_that_was_told(
    loss: str, lost: float, told: float | None, verdict: Verdict
) -> None:
    """And it covers what is gone; of what nobody knows it says so."""
    assert in_the_postmortem(loss, lost, told).verdict is verdict
