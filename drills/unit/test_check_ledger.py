"""Acknowledged writes against what is there: every class, from hand-written ledgers."""

from dataclasses import replace

import pytest

from fixtures.checks.ledger import COMES_BACK, HARMLESS, UNDONE, classify, ledger
from fixtures.history import Write
from fixtures.ledger import Result, Row, Truth, digest
from fixtures.verdict import Verdict

OUTLINE = ((96.0, 96.0, 40.0, 30.0),)
RIGHT = [[[56.0, 96.0], [68, 117], [96, 126], [124, 117], [136, 96], [124, 75], [96, 66], [68, 75]]]
WRONG = [[[0.0, 0.0], [10, 0], [10, 10]]]

USER = Write("user", "u@x", "u1", digest("u@x"), None, 1, 1.1, "acknowledged", "v4.0.0")
PROJECT = Write("project", "p", "p1", digest("p"), "u1", 2, 2.1, "acknowledged", "v4.0.0")
IMAGE = Write("image", "i.png", "i1", "sha", "p1", 3, 3.1, "acknowledged", "v4.0.0")
JOB = Write("segmentation", "i.png", "j1", "sha", "i1", 4, 4.1, "acknowledged", "v4.0.0", OUTLINE)
WRITES = [USER, PROJECT, IMAGE, JOB]

USER_ROW = Row("user", "u1", "u@x", digest("u@x"), digest("u@x"), None)
PROJECT_ROW = Row("project", "p1", "p", digest("p"), digest("p"), "u1")
IMAGE_ROW = Row("image", "i1", "i.png", "sha", "sha", "p1")
RESULT = Result("j1", "i1", RIGHT, "v4.0.0")
TRUTH = Truth((USER_ROW, PROJECT_ROW, IMAGE_ROW), (RESULT,), {"j1": "done"})


def without(row: Row) -> Truth:
    """The truth without this row."""
    return replace(TRUTH, rows=tuple(item for item in TRUTH.rows if item is not row))


def swapped(row: Row, **changes: object) -> Truth:
    """The truth with this row changed."""
    new = replace(row, **changes)  # type: ignore[arg-type]
    return replace(TRUTH, rows=(*without(row).rows, new))


def more(*rows: Row) -> Truth:
    """The truth and these rows."""
    return replace(TRUTH, rows=(*TRUTH.rows, *rows))


def deletion(outcome: str = "acknowledged", of: Write = PROJECT) -> Write:
    """A deletion of this write's thing."""
    return Write("deletion", of.key, of.id, None, None, 5, 5.1, outcome, "v4.0.0")  # type: ignore[arg-type]


def classes(writes: list[Write], truth: Truth, **more_facts: object) -> list[str]:
    """The classes that were found, sorted."""
    return sorted(entry.cls for entry in classify(writes, truth, **more_facts))  # type: ignore[arg-type]


def test_everything_kept_passes() -> None:
    """Everything kept passes."""
    finding = ledger(WRITES, TRUTH)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["kept"] == 4
    assert finding.count == 0


def test_no_write_is_inconclusive() -> None:
    """No write is inconclusive."""
    assert ledger([], Truth()).verdict is Verdict.INCONCLUSIVE
    assert ledger([replace(PROJECT, outcome="unknown", id=None)], Truth()).verdict is Verdict.INCONCLUSIVE


def test_a_ledger_of_things_deleted_again_proves_nothing() -> None:
    """A ledger of things deleted again proves nothing."""
    truth = Truth((USER_ROW,))
    assert ledger([PROJECT, deletion()], truth, known={"u1"}).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (without(USER_ROW), "lost"),
        (without(PROJECT_ROW), "lost"),
        (swapped(IMAGE_ROW, content=None), "lost"),
        (replace(TRUTH, jobs={}), "lost"),
        (replace(TRUTH, results=()), "lost"),
        (swapped(IMAGE_ROW, content="other"), "mutated"),
        (swapped(IMAGE_ROW, digest="other", content="other"), "mutated"),
        (swapped(PROJECT_ROW, key="renamed", digest="x", content="x"), "mutated"),
        (swapped(IMAGE_ROW, parent="p9"), "mutated"),
        (replace(TRUTH, results=(replace(RESULT, image="i9"),)), "mutated"),
        (more(replace(PROJECT_ROW, id="p2")), "duplicated"),
        (more(PROJECT_ROW), "duplicated"),
        (replace(TRUTH, results=(RESULT, RESULT)), "duplicated"),
        (more(Row("project", "p9", "alien", "d", "d", "u1")), "unexpected"),
        (replace(TRUTH, jobs={"j1": "processing"}), "unfinished"),
        (replace(TRUTH, jobs={"j1": "failed"}), "unfinished"),
        (replace(TRUTH, results=(replace(RESULT, polygons=WRONG),)), "wrong result"),
        (replace(TRUTH, results=(replace(RESULT, polygons="nonsense"),)), "wrong result"),
        (replace(TRUTH, results=(replace(RESULT, polygons=[]),)), "wrong result"),
    ],
    ids=["user gone", "project gone", "file gone", "job gone", "result gone", "file changed", "digest changed",
         "renamed", "moved", "result moved", "second row", "same row twice", "two results", "stranger", "job open",
         "job failed", "wrong outline", "no polygons", "empty polygons"],
)  # fmt: skip
def test_a_ledger_that_does_not_add_up_fails(truth: Truth, expected: str) -> None:
    """A ledger that does not add up fails."""
    finding = ledger(WRITES, truth)
    assert finding.verdict is Verdict.FAIL
    assert finding.figures[expected] == 1
    assert finding.worst
    assert finding.worst.startswith(expected)


def test_an_image_lost_takes_its_segmentation_along() -> None:
    """An image lost takes its segmentation along."""
    assert classes(WRITES, without(IMAGE_ROW)) == ["kept", "kept", "lost", "lost"]


def test_a_wrong_result_of_the_release_to_blame_is_the_faults() -> None:
    """A wrong result of the release to blame is the faults."""
    truth = replace(TRUTH, results=(replace(RESULT, polygons=WRONG, release="v4.1.0-polygons"),))
    assert ledger(WRITES, truth, blamed={"v4.1.0-polygons"}).verdict is Verdict.PASS
    assert ledger(WRITES, truth, blamed={"v4.1.0-slow"}).verdict is Verdict.FAIL


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    """A write without an answer may be there or not."""
    unknown = replace(PROJECT, key="q", id=None, digest=digest("q"), acked=None, outcome="unknown")
    assert ledger([*WRITES, unknown], TRUTH).verdict is Verdict.PASS
    there = more(Row("project", "p2", "q", digest("q"), digest("q"), "u1"))
    finding = ledger([*WRITES, unknown], there)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["recovered"] == 1


def test_a_write_without_an_answer_that_is_there_twice_fails() -> None:
    """A write without an answer that is there twice fails."""
    unknown = replace(PROJECT, key="q", id=None, outcome="unknown")
    rows = [Row("project", i, "q", digest("q"), digest("q"), "u1") for i in ("p2", "p3")]
    assert classes([*WRITES, unknown], more(*rows)).count("duplicated") == 1


def test_a_refused_write_that_is_there_is_unexpected() -> None:
    """A refused write that is there is unexpected."""
    refused = replace(PROJECT, key="q", id=None, outcome="refused")
    there = more(Row("project", "p2", "q", digest("q"), digest("q"), "u1"))
    assert ledger([*WRITES, refused], there).figures["unexpected"] == 1


def test_the_same_answer_entered_twice_is_one_write() -> None:
    """The same answer entered twice is one write."""
    finding = ledger([*WRITES, PROJECT], TRUTH)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["kept"] == 4


def test_a_write_acknowledged_twice_with_two_identities_is_duplicated() -> None:
    """A write acknowledged twice with two identities is duplicated."""
    again = replace(PROJECT, id="p2")
    found = classes([*WRITES, again], more(replace(PROJECT_ROW, id="p2")))
    assert found.count("duplicated") == 2


def test_one_identity_for_two_things_is_reused() -> None:
    """One identity for two things is reused."""
    other = replace(PROJECT, key="q", digest=digest("q"))
    assert classes([*WRITES, other], TRUTH).count("reused") == 2


def test_an_identity_that_names_another_write_now_is_reused() -> None:
    """An identity that names another write now is reused."""
    other = replace(PROJECT, key="q", id="p2", digest=digest("q"))
    rows = swapped(PROJECT_ROW, key="q", digest=digest("q"), content=digest("q"))
    found = classes([*WRITES, other], rows)
    assert "reused" in found
    assert "lost" in found


def test_deleted_and_gone_is_as_asked_with_all_it_held() -> None:
    """Deleted and gone is as asked with all it held."""
    truth = Truth((USER_ROW,))
    finding = ledger([*WRITES, deletion()], truth)
    assert finding.verdict is Verdict.PASS
    assert finding.figures["removed"] == 2


def test_deleted_and_back_is_resurrected_with_all_it_held() -> None:
    """Deleted and back is resurrected with all it held."""
    finding = ledger([*WRITES, deletion()], TRUTH)
    assert finding.verdict is Verdict.FAIL
    assert finding.figures["resurrected"] == 2


@pytest.mark.parametrize("truth", [TRUTH, Truth((USER_ROW,))], ids=["still there", "gone"])
def test_a_deletion_without_an_answer_may_have_happened(truth: Truth) -> None:
    """A deletion without an answer may have happened."""
    assert ledger([*WRITES, deletion("unknown")], truth).verdict is Verdict.PASS


def test_a_refused_deletion_that_happened_is_a_loss() -> None:
    """A refused deletion that happened is a loss."""
    assert ledger([*WRITES, deletion("refused")], Truth((USER_ROW,))).figures["lost"] == 3


def test_rows_that_were_there_before_are_no_strangers() -> None:
    """Rows that were there before are no strangers."""
    truth = more(Row("user", "admin", "admin@x", "d", "d", None))
    assert ledger(WRITES, truth).verdict is Verdict.FAIL
    assert ledger(WRITES, truth, known={"admin"}).verdict is Verdict.PASS


def test_the_span_of_the_losses_is_measured() -> None:
    """The span of the losses is measured."""
    assert ledger(WRITES, Truth()).figures["seconds of losses"] == 3.0


def test_every_harmful_class_fails() -> None:
    """Every harmful class fails."""
    assert "lost" not in HARMLESS
    assert {"kept", "removed", "recovered"} <= HARMLESS


def test_what_was_announced_row_by_row_is_no_loss() -> None:
    """A lost, changed or resurrected thing whose identity was announced is announced; any other is not."""
    finding = ledger(WRITES, without(PROJECT_ROW), announced={"p1": UNDONE})
    assert (finding.verdict, finding.figures["announced"], finding.figures["lost"]) == (Verdict.PASS, 1, 0)
    assert ledger(WRITES, without(PROJECT_ROW), announced={"i1": UNDONE}).verdict is Verdict.FAIL
    assert classes([*WRITES, deletion()], TRUTH, announced=dict.fromkeys(("p1", "i1"), UNDONE)).count("announced") == 2


def test_an_announcement_excuses_no_duplicate_and_no_stranger() -> None:
    """What no restore brings about is not excused by the announcement of a loss."""
    twice = more(replace(PROJECT_ROW, id="p2"))
    assert "duplicated" in classes(WRITES, twice, announced=dict.fromkeys(("p1", "p2"), UNDONE))


def test_an_announcement_that_did_not_come_true_changes_nothing() -> None:
    """Announced and still there is kept: that the announcement was wrong is for the drill to say."""
    assert classes(WRITES, TRUTH, announced={"p1": UNDONE}) == ["kept"] * 4


def test_a_repair_that_said_what_comes_back_is_excused_for_that_alone() -> None:
    """Deleted by its user and brought back as announced is no fault; lost it would be."""
    assert classes([*WRITES, deletion()], TRUTH, announced={"p1": COMES_BACK}).count("announced") == 1
    assert ledger(WRITES, without(PROJECT_ROW), announced={"p1": COMES_BACK}).verdict is Verdict.FAIL
