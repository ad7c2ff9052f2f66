"""The drills cover the runbook, and each that may be left out says why."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import policy, runbook

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def test_every_section_of_a_drill_is_one_of_the_runbook() -> None:
    """A drill of a section that the report does not know would have no owner and no row."""
    named = {section for section, _ in _drilled()}
    known = {one.name for one in runbook.SECTIONS}
    assert named
    assert named - known == set(), "add it to reports/runbook.py"


def test_every_drill_that_may_be_left_out_says_why() -> None:
    """In a sentence, and a drill that it names as its twin exists."""
    reasons = [mark.args for marks in _marks() for mark in marks if mark.name == "exhaustive"]
    assert len(reasons) > 50
    assert [one for one in reasons if len(one) != 1 or " " not in one[0]] == []
    twins = {name for (one,) in reasons for name in re.findall(r"\b[a-z]+-[a-z]+(?:-[a-z]+)*", one)}
    known = [one.kwargs["id"] for marks in _marks() for one in marks if one.name == "drill"]
    assert [name for name in sorted(twins) if not any(one.startswith(name) for one in known)] == []


def test_every_procedure_has_a_monthly_drill() -> None:
    """Otherwise the monthly run is red by itself; what may go without one is exempt by name in drills/gate.toml."""
    drilled = {section for section, marks in _drilled() if "monthly" in marks}
    exempt = set(policy.read(ROOT / "drills" / "gate.toml").procedures)
    assert {one.name for one in runbook.SECTIONS} - drilled - exempt == set()


def _drilled() -> Iterator[tuple[str, set[str]]]:
    """The section of each drill, with the marks of its test."""
    for marks in _marks():
        for one in marks:
            if one.name == "drill":
                yield str(one.kwargs["section"]), {mark.name for mark in marks}


def _marks() -> Iterator[list[Any]]:
    """The marks of each variation of each drill; unit tests make up their own."""
    for path in sorted((ROOT / "drills").rglob("test_*.py")):
        if path.parent.name != "unit":
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            around = getattr(module, "pytestmark", [])
            for test in vars(module).values():
                yield from _of_test(around if isinstance(around, list) else [around], getattr(test, "pytestmark", []))


def _of_test(around: list[Any], own: list[Any]) -> Iterator[list[Any]]:
    values = [value for mark in own if mark.name == "parametrize" for value in mark.args[1]]
    for varied in [(), *(getattr(value, "marks", ()) for value in values)]:
        marks = [getattr(one, "mark", one) for one in (*around, *own, *varied)]
        if own:
            yield marks
