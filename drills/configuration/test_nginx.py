"""Nginx Configuration Rollback: the edge's files go back to a recorded release with users at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults import edge
from fixtures.faults.candidates import GOOD
from fixtures.faults.edge import HELD_PORT, api_to_the_frontend, syntax_error
from fixtures.operators import broken_target_first
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill
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
    """An edge that dies at every start of a syntax error serves again; what broke it is refused as a target."""
    # nobody reaches anything: no write is acknowledged while it lasts
    operator = broken_target_first("nginx refuses these files")
    drill(put_back(syntax_error(), operator=operator, further=set_aside, budget=Budget(during=0)))


@pytest.mark.gate
@pytest.mark.exhaustive("nginx-port-taken breaks the same file, and more")
@pytest.mark.drill(id="nginx-location", brings=("nginx's files",), **FACTS)
def test_location_that_sends_the_api_to_the_frontend(drill: Bench) -> None:
    """A configuration that is valid and wrong is taken back, and no request is lost by it."""
    drill(put_back(api_to_the_frontend(), budget=Budget(during=0)))


@pytest.mark.exhaustive("their harder twins are nginx-syntax and nginx-location")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(edge.missing_include, marks=pytest.mark.drill(id="nginx-include", **FACTS), id="include"),
        pytest.param(edge.small_bodies, marks=pytest.mark.drill(id="nginx-bodies", **FACTS), id="bodies"),
        pytest.param(edge.wrong_upstream, marks=pytest.mark.drill(id="nginx-upstream", **FACTS), id="upstream"),
    ],
)
def test_other_ways_to_break_the_edge(drill: Bench, fault: Callable[[], BrokenFile]) -> None:
    """An include that is missing, a limit that no image fits, a port on which nobody listens: each goes back."""
    drill(put_back(fault(), budget=Budget(during=0)))


def listens_more(drill: Drill) -> None:
    """The release has a second port for the exporters, inside the network."""
    path = drill.stack.checkout / "nginx/prod.conf"
    text = path.read_text(encoding="utf-8")
    sound = "listen 443 ssl http2 default_server;"
    path.write_text(text.replace(sound, f"{sound}\n    listen {HELD_PORT};"), encoding="utf-8")
    drill.stack.reload_edge()


@pytest.mark.exhaustive("the edge is put back by the same steps as in nginx-syntax")
@pytest.mark.drill(id="nginx-port-taken", **{**FACTS, "objective": None})
def test_configuration_that_is_valid_and_cannot_be_applied(drill: Bench) -> None:
    """Nginx accepts the recorded files and the reload, and applies nothing: that is a failure, and is put back."""
    drill(
        put_back(
            edge.port_taken(),
            arranged=listens_more,
            exit=30,
            serves={},
            objective=None,
            said=("did not come true within",),
            reference="before the command",
            # nobody could sign in before it, and nobody can afterwards
            sessions_end="the API is out of reach before and after: nothing was put back",
            budget=Budget(during=0, after=0),
        )
    )


@pytest.mark.exhaustive("a refusal by a rule that has its unit tests")
@pytest.mark.drill(id="nginx-single-file", **{**FACTS, "objective": None})
def test_file_that_is_mounted_alone_is_refused(drill: Bench) -> None:
    """The edge would go on with the old file whatever is written beside it: refused, with the way out."""
    mount = "volumes: ['./nginx/prod.conf:/etc/nginx/spheroseg/prod.conf:ro']"
    drill(
        put_back(
            api_to_the_frontend(),
            overrides={"nginx-prod": (mount,)},
            exit=20,
            serves={},
            objective=None,
            said=("nginx/prod.conf is mounted as a single file", "mount its folder instead"),
            unchanged=True,
            sessions_end="the API is out of reach before and after: nothing was put back",
            budget=Budget(during=0, after=0),
        )
    )
