"""What is left behind has to be explained."""

import pytest

from fixtures.checks.residue import Allowed, differences, residue
from fixtures.verdict import Verdict

BEFORE = {"container backend": "sha256:new running", "file .env": "aa", "volume data": "x"}
BACK = Allowed("container backend", "the rollback puts the earlier image in its place")


def test_equal_worlds_pass() -> None:
    """Equal worlds pass."""
    finding = residue(BEFORE, dict(BEFORE), [])
    assert finding.verdict is Verdict.PASS
    assert finding.figures["compared"] == 3


def test_an_explained_difference_passes() -> None:
    """An explained difference passes."""
    after = {**BEFORE, "container backend": "sha256:old running"}
    assert residue(BEFORE, after, [BACK]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("after", "what"),
    [
        ({**BEFORE, "file .env": "bb"}, "file .env changed: aa -> bb"),
        ({**BEFORE, "container backend-green": "up"}, "container backend-green appeared: up"),
        ({k: v for k, v in BEFORE.items() if k != "volume data"}, "volume data is gone: x"),
    ],
    ids=["changed", "appeared", "gone"],
)
def test_a_difference_without_an_explanation_fails(after: dict[str, str], what: str) -> None:
    """A difference without an explanation fails."""
    finding = residue(BEFORE, after, [])
    assert finding.verdict is Verdict.FAIL
    assert finding.first == what
    assert finding.count == 1


def test_an_expected_difference_that_is_not_there_fails() -> None:
    """An expected difference that is not there fails."""
    finding = residue(BEFORE, dict(BEFORE), [BACK])
    assert finding.verdict is Verdict.FAIL
    assert "nothing matches 'container backend'" in finding.reason


def test_an_idle_entry_that_may_apply_is_named() -> None:
    """An idle entry that may apply is named."""
    maybe = Allowed("rows *", "users go on working", expected=False)
    finding = residue(BEFORE, dict(BEFORE), [maybe])
    assert finding.verdict is Verdict.PASS
    assert "rows *" in finding.reason
    assert finding.figures["idle entries"] == 1


def test_an_empty_allow_list_explains_nothing() -> None:
    """An empty allow list explains nothing."""
    assert residue(BEFORE, {**BEFORE, "volume data": "y"}, []).verdict is Verdict.FAIL


@pytest.mark.parametrize(("before", "after"), [({}, BEFORE), (BEFORE, {}), ({}, {})])
def test_an_empty_world_is_inconclusive(before: dict[str, str], after: dict[str, str]) -> None:
    """An empty world is inconclusive."""
    assert residue(before, after, []).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("pattern", "reason"), [("*", "all is well"), ("**", "x"), ("?*", "x"), ("", "x"), ("a", " ")])
def test_an_entry_that_explains_everything_or_gives_no_reason_is_refused(pattern: str, reason: str) -> None:
    """An entry that explains everything or gives no reason is refused."""
    with pytest.raises(ValueError, match="explain"):
        Allowed(pattern, reason)


def test_differences_come_in_the_order_of_names() -> None:
    """Differences come in the order of names."""
    assert [item.name for item in differences({"b": "1", "a": "1"}, {"c": "1"})] == ["a", "b", "c"]
