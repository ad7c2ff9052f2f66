"""Verification Checklist: each line is shown able to fail, by damage that is real and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import packages
from fixtures.faults.candidates import GOOD
from fixtures.faults.damages import BROWSER, LINES, together
from fixtures.inspection import Damaged, Inspection
from fixtures.scenario import Scenario
from rollback.verification.devtools import installed

if TYPE_CHECKING:
    from fixtures.bench import Bench

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.aftermath]

FACTS = {"section": "Post-Rollback Actions / Verification Checklist", "procedure": "aftermath", "severity": "critical",
         "objective": None}  # fmt: skip


def inspected(damaged: Damaged, *, monitored: bool = False) -> Scenario:
    """One release, recorded, and then damaged."""
    return Scenario(
        releases=(GOOD,),
        fault=damaged,
        command=("verify", GOOD),
        serves={},
        monitored=monitored,
        # of which half may get lost users need twenty seconds, where the host has nothing else to do
        patience=120.0,
    )


@pytest.mark.drill(id="verification-lines", **FACTS)
def test_every_line_of_the_checklist_can_turn_red(drill: Bench) -> None:
    """Damaged in many ways at once, exactly the lines that stand for them turn red, and mended green again."""
    drill(inspected(Damaged(together(LINES), killed=True), monitored=True), Inspection)


@pytest.mark.exhaustive("verification-lines has all of them, some at once")
@pytest.mark.drill(id="verification-each", **FACTS)
def test_each_damage_turns_its_own_lines_red(drill: Bench) -> None:
    """Damaged in one way after another, exactly the lines that stand for it turn red, and mended green again."""
    drill(inspected(Damaged([(one,) for one in LINES]), monitored=True), Inspection)


@pytest.mark.exhaustive("it may have to install a browser")
@pytest.mark.drill(id="verification-browser", **FACTS)
def test_a_browser_sees_what_no_request_shows(drill: Bench) -> None:
    """A page whose script is broken answers every request with 200: the browser's line alone turns red."""
    if lacking := _browser_at_hand():
        drill.not_tested(lacking)
    drill(inspected(Damaged([(one,) for one in BROWSER], browser=True)), Inspection)


def _browser_at_hand() -> str:
    """Install a Chromium where there is none and apt has one; what is lacking, or nothing."""
    none = "there is no Chromium on this host"
    if installed(None) is None and packages.installable():
        try:
            packages.install("chromium", ["chromium"], "the drill of the browser", print)
        except packages.NotInstalledError as error:
            print(error)  # noqa: T201 -- into the report: what apt said
            return f"{none}, and apt could not install it"
    return "" if installed(None) else none
