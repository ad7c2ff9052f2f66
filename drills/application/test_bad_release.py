"""Application Rollback / Quick Rollback: a faulty v4.1.0 was deployed over v4.0.0, with users on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.faults.release import BadRelease
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.history import PathName, Request, Sample

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.application]

GOOD = "v4.0.0"
SECTION = "Application Rollback / Quick Rollback (Docker)"
OBJECTIVE = 300
SERVES: dict[PathName, str] = {"read": GOOD, "write": GOOD, "frontend": GOOD, "ml": GOOD}
API = ("read", "write", "ml")


def rolled_back(fault: BadRelease) -> Scenario:
    """The operator goes back to v4.0.0."""
    return Scenario((GOOD,), fault, ("application", GOOD), SERVES, objective=OBJECTIVE, blamed=(fault.version,))


@pytest.mark.gate
@pytest.mark.drill(
    id="application-crash", section=SECTION, procedure="application", severity="critical", objective=OBJECTIVE
)
def test_backend_crashes_at_start(drill: Bench) -> None:
    """A release whose backend dies at start is taken back."""

    def unreachable(sample: Sample) -> bool:
        return not sample.ok and sample.path in API

    def broken(request: Request) -> bool:
        return request.path in API

    drill(
        rolled_back(
            BadRelease(
                "v4.1.0-crash",
                GOOD,
                "The backend of v4.1.0 imports a module that was never added to the image. It dies at start, again"
                " and again; users see 502.",
                unreachable,
                broken,
            )
        )
    )


@pytest.mark.gate
@pytest.mark.drill(
    id="application-errors", section=SECTION, procedure="application", severity="critical", objective=OBJECTIVE
)
def test_a_third_of_requests_answer_500(drill: Bench) -> None:
    """A release that answers 500 to a third of its users is taken back."""

    def internal_error(sample: Sample) -> bool:
        return not sample.ok and "500" in sample.reason

    def broken(request: Request) -> bool:
        return request.status == 500 or request.cls == "websocket"

    drill(
        rolled_back(
            BadRelease(
                "v4.1.0-errors",
                GOOD,
                "v4.1.0 samples its traces and forgot one bucket: every third request ends in 500, while the health"
                " check stays green.",
                internal_error,
                broken,
            )
        )
    )


@pytest.mark.drill(
    id="application-slow", section=SECTION, procedure="application", severity="normal", objective=OBJECTIVE
)
def test_ten_times_slower(drill: Bench) -> None:
    """A release that is ten times slower is taken back."""

    def slow(sample: Sample) -> bool:
        return sample.path == "read" and sample.done - sample.sent > 0.25

    def starved(request: Request) -> bool:
        return request.path in API and request.status in (None, 502, 504)

    drill(
        rolled_back(
            BadRelease(
                "v4.1.0-slow",
                GOOD,
                "v4.1.0 writes an audit entry over a new connection inside the event loop and reads projects one by"
                " one. Everything works, and nothing works well.",
                slow,
                starved,
            )
        )
    )


@pytest.mark.drill(
    id="application-assets", section=SECTION, procedure="application", severity="normal", objective=OBJECTIVE
)
def test_frontend_asks_for_assets_that_do_not_exist(drill: Bench) -> None:
    """A release whose page cannot load its own assets is taken back."""

    def broken_page(sample: Sample) -> bool:
        return not sample.ok and sample.path == "frontend"

    def broken(request: Request) -> bool:
        return request.path == "frontend"

    drill(
        rolled_back(
            BadRelease(
                "v4.1.0-assets",
                GOOD,
                "The build of v4.1.0 hashes the assets before it minifies them: the page names files that do not"
                " exist. All health checks are green; users see an empty page.",
                broken_page,
                broken,
            )
        )
    )


@pytest.mark.drill(
    id="application-polygons", section=SECTION, procedure="application", severity="critical", objective=OBJECTIVE
)
def test_ml_returns_wrong_polygons(drill: Bench) -> None:
    """A release whose segmentation is wrong while all is green is taken back."""

    def wrong(sample: Sample) -> bool:
        return not sample.ok and sample.path == "ml"

    def broken(request: Request) -> bool:
        return request.path == "ml"

    drill(
        rolled_back(
            BadRelease(
                "v4.1.0-polygons",
                GOOD,
                "The ml of v4.1.0 swaps x and y. Every check is green, every polygon is wrong: only somebody who"
                " looks at the result notices.",
                wrong,
                broken,
            )
        )
    )
