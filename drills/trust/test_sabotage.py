"""The drills are drilled: each lie that our code could tell is told, and a drill must catch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.sabotages import Sabotage, run
from fixtures.sabotages.catalogue import SABOTAGES, twin

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.trust, pytest.mark.alone]


@pytest.mark.parametrize(
    "sabotage",
    [
        pytest.param(
            one,
            id=one.name.replace(" ", "-"),
            marks=[] if one.always else [pytest.mark.exhaustive(f"of its chapter runs with the tests: {twin(one)}")],
        )
        for one in SABOTAGES
    ],
)
def test_sabotage_is_caught(sabotage: Sabotage, tmp_path: Path) -> None:
    """The drill turns red, and by the check that stands for what was left out."""
    line = run(sabotage, tmp_path)
    found = {one["check"]: one for one in line["findings"]}
    assert line["verdict"] != "pass", f"the sabotage survived: {line['reason']}"
    for check, words in sabotage.caught_by:
        assert check in found, f"the drill never came to the check {check}: {line['reason']}"
        assert found[check]["verdict"] != "pass", f"{check} did not notice"
        assert words in found[check]["reason"], found[check]["reason"]
