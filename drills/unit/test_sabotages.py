"""Sabotages follow the code: what each replaces is there, and its drill is a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fixtures.sabotages import Sabotage
from fixtures.sabotages.catalogue import SABOTAGES
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
