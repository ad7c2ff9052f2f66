"""Sabotages follow the code: what each replaces is there, and its drill is a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fixtures.sabotages import Sabotage, catalogue
from fixtures.sabotages.catalogue import CHAPTERS, SABOTAGES, twin
from fixtures.sabotages.database import RESTORED
from fixtures.sabotages.gate import AT_THE_GATE

ROOT = Path(__file__).parents[2]


GATED = tuple(Sabotage(name, edits, RESTORED, ()) for name, edits in AT_THE_GATE.items())


@pytest.mark.parametrize("sabotage", [*SABOTAGES, *GATED], ids=lambda one: one.name.replace(" ", "-"))
def test_a_sabotage_finds_what_it_replaces(sabotage: Sabotage) -> None:
    """Each text is there exactly once, what stands there instead is other Python, and the drill exists."""
    for name, old, new in sabotage.edits:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        assert ast.dump(ast.parse(text.replace(old, new))) != ast.dump(ast.parse(text))
    path, _, test = sabotage.drill.partition("::")
    names = {one.name for one in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if hasattr(one, "name")}
    assert test.partition("[")[0] in names


def test_sabotages_have_names_of_their_own() -> None:
    """Two sabotages of one name would share a test id."""
    assert len({one.name for one in SABOTAGES}) == len(SABOTAGES)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter[0].name.replace(" ", "-"))
def test_one_sabotage_of_each_chapter_runs_with_the_tests(chapter: tuple[Sabotage, ...]) -> None:
    """It is what the others of the chapter name as their reason to be left to the month."""
    always = {one.name for one in chapter if one.always}
    assert always
    assert {twin(one) for one in chapter} <= always


def test_a_chapter_that_no_test_sabotages_may_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason would be a lie."""
    alone = Sabotage("left out", (), RESTORED, ())
    monkeypatch.setattr(catalogue, "CHAPTERS", (*CHAPTERS, (alone,)))
    with pytest.raises(LookupError, match="left out"):
        twin(alone)
