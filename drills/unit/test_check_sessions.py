"""A session that its user holds outlives a rollback."""

from __future__ import annotations

import pytest

from fixtures.checks.sessions import restored, survived
from fixtures.client import Answer
from fixtures.history import History, Mark, SignIn
from fixtures.session import Session
from fixtures.verdict import Verdict

MARKS = (Mark("fault injected", 10, 0), Mark("rollback started", 20, 0), Mark("rollback ended", 30, 0))
KEPT = SignIn("kept", 1, 35, 40, "held")


def refused(at: float, opened: float = 2, who: str = "u1") -> SignIn:
    """A session that was turned away then."""
    return SignIn(who, opened, at - 1, at, "refused")


def history(*sign_ins: SignIn, marks: tuple[Mark, ...] = MARKS) -> History:
    """These sessions."""
    return History(sign_ins=sign_ins, marks=marks)


def test_sessions_that_go_on_pass() -> None:
    """Sessions that go on pass."""
    finding = survived(history(KEPT, SignIn("b", 2, 31, 41, "held")))
    assert finding.verdict is Verdict.PASS
    assert finding.figures["kept"] == 2


def test_a_rollback_that_changed_the_secret_of_the_tokens_is_caught() -> None:
    """Everybody is turned away once and signs in again: each was signed out by the rollback."""
    again = [SignIn(f"u{n}", 26, 35, 40, "held") for n in range(3)]
    finding = survived(history(*(refused(25 + n, who=f"u{n}") for n in range(3)), *again))
    assert finding.verdict is Verdict.FAIL
    assert finding.count == 3
    assert finding.first
    assert "u0" in finding.first


def test_one_lost_session_is_enough() -> None:
    """One lost session among many that were kept is enough."""
    assert survived(history(KEPT, refused(25))).verdict is Verdict.FAIL
    assert survived(history(KEPT, refused(39))).verdict is Verdict.FAIL


def test_what_ended_by_itself_or_by_its_user_is_no_loss() -> None:
    """What ended by itself, or by its user, is no loss."""
    ended = (SignIn("a", 2, 24, 25, "left"), SignIn("b", 2, 24, 25, "expired"))
    assert survived(history(KEPT, *ended)).verdict is Verdict.PASS


def test_where_nobody_came_back_with_a_session_nothing_is_known() -> None:
    """Sessions of before the rollback that nobody used after it, and sessions opened later, say nothing."""
    idle, late = SignIn("a", 2, 29, 40, "held"), SignIn("b", 25, 35, 40, "held")
    never = SignIn("c", 3, None, 40, "held")
    assert survived(history(idle, late, never)).verdict is Verdict.INCONCLUSIVE
    assert survived(history()).verdict is Verdict.INCONCLUSIVE


def test_sessions_that_something_else_ends_make_it_inconclusive() -> None:
    """Sessions refused before the rollback: something else signs users out."""
    assert survived(history(KEPT, refused(15))).verdict is Verdict.INCONCLUSIVE
    assert survived(history(KEPT, refused(15), refused(25))).verdict is Verdict.FAIL


def test_a_scenario_that_ends_sessions_says_why() -> None:
    """A scenario that ends sessions says why, and they are counted."""
    finding = survived(history(refused(25)), "every secret was rotated")
    assert finding.verdict is Verdict.PASS
    assert "1 ended with it: every secret was rotated" in finding.reason
    assert survived(history(KEPT, refused(15)), "every secret was rotated").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("missing", ["rollback started", "rollback ended"])
def test_without_the_marks_of_the_rollback_it_is_inconclusive(missing: str) -> None:
    """Without the marks of the rollback it is inconclusive."""
    marks = tuple(mark for mark in MARKS if mark.name != missing)
    assert survived(history(KEPT, marks=marks)).verdict is Verdict.INCONCLUSIVE


def granted(at: float, **data: object) -> Answer:
    """An answer that gives out tokens."""
    return Answer(at, at + 0.1, 200, data={"access_token": "a", "refresh_token": "r", **data})


def test_a_token_that_expired_is_not_refused() -> None:
    """A token is refused only while it was good; one whose end nobody knows is always good."""
    session = Session.granted("u", granted(5, expires_in=10))
    assert session.turned_away(14.9).end == "refused"
    assert session.turned_away(15).end == "expired"
    assert Session.granted("u", granted(5)).turned_away(1e9).end == "refused"


def test_a_session_that_was_renewed_is_the_same_with_a_later_end() -> None:
    """A session that was renewed is the same one, with a later end."""
    session = Session.granted("u", granted(5, expires_in=10)).renewed(granted(12, expires_in=10))
    assert (session.opened, session.expires, session.accepted) == (5.1, 22, 12)


@pytest.mark.parametrize(
    ("status", "release", "known"),
    [(200, "v1", True), (204, "v1", True), (200, None, False), (403, "v1", False), (404, "v1", False),
     (404, None, False), (401, "v1", False), (502, None, False), (None, None, False)],
)  # fmt: skip
def test_only_the_service_itself_knows_a_user(
    status: int | None,
    release: str | None,
    known: bool,  # noqa: FBT001
) -> None:
    """A good answer of a release: what the edge says in its place, and what was refused, prove nothing."""
    session = Session.granted("u", granted(5))
    session.hear(Answer(7, 7.1, status, release=release))
    assert session.accepted == (7 if known else None)


@pytest.mark.parametrize(
    ("sign_ins", "verdict"),
    [
        ((SignIn("probe-a", 1, 35, 40, "held"),), Verdict.PASS),
        ((SignIn("probe-a", 1, 35, 40, "held"), SignIn("u1", 2, 8, 35, "refused")), Verdict.PASS),
        ((SignIn("probe-a", 1, 35, 40, "held"), SignIn("probe-b", 2, 8, 35, "refused")), Verdict.FAIL),
        ((SignIn("probe-a", 1, 8, 35, "refused"),), Verdict.FAIL),
        ((SignIn("probe-a", 1, 28, 40, "held"),), Verdict.INCONCLUSIVE),
        ((SignIn("probe-a", 6, 35, 40, "held"), SignIn("probe-b", 7, 8, 35, "refused")), Verdict.INCONCLUSIVE),
        ((), Verdict.INCONCLUSIVE),
    ],
    ids=["kept", "traded", "one-lost", "store-empty", "nobody-asked", "after-the-backup", "nobody"],
)
def test_sessions_come_back_with_their_store(sign_ins: tuple[SignIn, ...], verdict: Verdict) -> None:
    """Who signed in before the backup is known after the recovery; who came later, or traded tokens, says nothing."""
    assert restored(history(*sign_ins), 5, "probe-").verdict is verdict
