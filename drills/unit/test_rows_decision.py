"""What becomes of a row that differs from the backup."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollback.database.rows.comparison import Found
from rollback.database.rows.decision import Decided, Rules, Verdict, decide, decide_child
from rollback.database.rows.shape import Reference, parents_first

SINCE, NOW = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC)
RULES = Rules(SINCE, NOW)
NEW = {"id": 1, "name": "right", "updated_at": "2026-01-01T00:00:00+00:00"}


def changed(at: object) -> dict[str, Any]:
    """A row that says when it was changed."""
    return NEW | {"name": "other", "updated_at": at}


ROWS: dict[str, tuple[Any, Any, Verdict]] = {
    "new": (NEW, None, Verdict.LEAVE),
    "missing": (None, NEW, Verdict.BRING_BACK),
    "damaged without a trace": (changed(NEW["updated_at"]), NEW, Verdict.REPAIR),
    "changed before the backup": (changed("2026-01-09T23:59:59+00:00"), NEW, Verdict.REPAIR),
    "at the instant of the backup": (changed(SINCE.isoformat()), NEW, Verdict.REPAIR),
    "changed since": (changed("2026-01-11T00:00:00+00:00"), NEW, Verdict.LEAVE),
    "changed since, without a zone": (changed("2026-01-11T00:00:00"), NEW, Verdict.LEAVE),
    "changed this instant": (changed(NOW.isoformat()), NEW, Verdict.LEAVE),
    "in the future": (changed("2026-01-20T00:00:01+00:00"), NEW, Verdict.REPAIR),
    "for ever": (changed("infinity"), NEW, Verdict.REPAIR),
    "after all years": (changed("29999-01-01T00:00:00+00:00"), NEW, Verdict.REPAIR),
    "never": (changed(None), NEW, Verdict.REPAIR),
    "no time at all": (changed(7), NEW, Verdict.REPAIR),
    "no such column": ({"id": 1, "created_at": NOW.isoformat()}, {"id": 1}, Verdict.REPAIR),
    "another word for it": ({"id": 1, "modified_at": NOW.isoformat()}, {"id": 1}, Verdict.LEAVE),
}


@pytest.mark.parametrize(("old", "new", "verdict"), ROWS.values(), ids=ROWS)
def test_a_row_is_repaired_unless_it_was_changed_since(old: Any, new: Any, verdict: Verdict) -> None:
    """Only a time between the backup and now is believed: damage may say anything."""
    assert decide(old, new, RULES)[0] is verdict


def test_changed_rows_are_overwritten_only_when_that_is_asked_for() -> None:
    """New ones never are."""
    rules = Rules(SINCE, NOW, overwrite=True)
    assert decide(changed(NOW.isoformat()), NEW, rules)[0] is Verdict.REPAIR
    assert decide(NEW, None, rules)[0] is Verdict.LEAVE


CHILD = {"id": 1, "image": 7, "user": 8, "text": "a"}
CHILDREN: dict[str, tuple[Any, Verdict | None]] = {
    "gone": (None, Verdict.BRING_BACK),
    "the same": (CHILD, None),
    "emptied": (CHILD | {"image": None}, Verdict.REPAIR),
    "emptied twice": (CHILD | {"image": None, "user": None}, Verdict.REPAIR),
    "given to another": (CHILD | {"image": 9}, Verdict.LEAVE),
    "emptied and changed": (CHILD | {"image": None, "text": "b"}, Verdict.LEAVE),
    "another column emptied": (CHILD | {"text": None}, Verdict.LEAVE),
}


@pytest.mark.parametrize(("old", "verdict"), CHILDREN.values(), ids=CHILDREN)
def test_children_come_back_or_get_their_reference_again(old: Any, verdict: Verdict | None) -> None:
    """What somebody has changed since is left."""
    decided = decide_child(old, CHILD, {"image", "user"})
    assert (decided and decided[0]) is verdict


def test_only_what_was_planned_is_written() -> None:
    """A row that differs by now and was not planned is left, and so is one that has other values on either side."""
    one = Decided("public.t", "[1]", Verdict.REPAIR, "differs", {"a": 1}, {"a": 2})
    two = Decided("public.t", "[2]", Verdict.BRING_BACK, "missing", None, {"a": 3})
    left = Decided("public.t", "[3]", Verdict.LEAVE, "new", {"a": 4}, None)
    marks = Found((), (two, left, one)).marks()
    assert marks == Found((), (one, two)).marks()
    assert Found((), (one, two, left)).within(marks).rows == (one, two, left)
    for old, new in (({"a": 9}, {"a": 2}), ({"a": 1}, {"a": 9}), (None, {"a": 2})):
        other = Decided("public.t", "[1]", Verdict.REPAIR, "differs", old, new)
        within = Found((), (other, two)).within(marks)
        assert [(row.key, row.writes) for row in within.rows] == [("[1]", False), ("[2]", True)]
        assert within.rows[0].reason == "came to differ after the plan"


def test_parents_come_before_their_children() -> None:
    """Whatever they are called; what refers to itself waits for nobody, and a circle does not stop it."""
    between = [Reference("a", "b"), Reference("b", "c"), Reference("c", "c"), Reference("x", "y"), Reference("y", "x")]
    assert parents_first({"a", "b", "c"}, between) == ["c", "b", "a"]
    assert sorted(parents_first({"x", "y", "a"}, between)) == ["a", "x", "y"]
