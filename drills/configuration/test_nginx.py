"""Nginx Configuration Rollback: the edge's files go back to a recorded release with users at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.edge import api_to_the_frontend, syntax_error
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.faults.release import BrokenFile
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.configuration]

SECTION = "Configuration Rollback / Nginx Configuration Rollback"
#: Seconds to recovery that the runbook promises for a configuration error.
OBJECTIVE = 120
FACTS = {"section": SECTION, "procedure": "nginx", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("file nginx/upstream.conf", "the edge's generation marker is a new one; the servers are the same"),
    Allowed("rows *", "users went on working", expected=False),
)


def put_back(fault: BrokenFile, **more: object) -> Scenario:
    """The edge's files are broken, and go back to those of the release."""
    # typed once more it makes sure again that the edge has read its files
    usual = {"command": ("nginx", GOOD), "again": 0, "objective": OBJECTIVE, "residue": RESIDUE, "blamed": ()}
    return Scenario.back_to(GOOD, fault, **{**usual, **more})


def set_aside(case: Case) -> list[Finding]:
    """What somebody left in the folder is no part of the release, and is kept."""
    kept = list((case.stack.checkout / ".rollback/runs").glob("*/aside/nginx/zz-temporary.conf"))
    return [finding("set aside", len(kept) == 1, f"{len(kept)} copies of the stray file are kept")]


@pytest.mark.drill(id="nginx-syntax", **FACTS)
def test_edge_that_dies_of_a_syntax_error(drill: Bench) -> None:
    """An edge that dies at every start of a syntax error serves again, and what was left behind is set aside."""
    # nobody reaches anything: no write is acknowledged while it lasts
    drill(put_back(syntax_error(), further=set_aside, budget=Budget(during=0)))


@pytest.mark.drill(id="nginx-location", **FACTS)
def test_location_that_sends_the_api_to_the_frontend(drill: Bench) -> None:
    """A configuration that is valid and wrong is taken back, and no request is lost by it."""
    drill(put_back(api_to_the_frontend(), budget=Budget(during=0)))
