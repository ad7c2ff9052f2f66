"""Application Rollback / Quick Rollback: a faulty v4.1.0 was deployed over v4.0.0, with users on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.release import SLOWER, latency
from fixtures.scenario import OBJECTIVE, Scenario
from fixtures.straggler import outlived, while_somebody_uploads
from fixtures.verdict import Finding, Verdict

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.application]

SECTION = "Application Rollback / Quick Rollback (Docker)"
SLOW_SAMPLES = 8
REFUSED = 20
FACTS = {"section": SECTION, "procedure": "application", "objective": OBJECTIVE}


@pytest.mark.drill(id="application-crash", severity="blocker", **FACTS)
def test_backend_crashes_at_start(drill: Bench) -> None:
    """A release whose backend dies at start is taken back."""
    drill(Scenario.back_to(GOOD, candidates.crash()))


@pytest.mark.exhaustive("aftermath-documents has the same release")
@pytest.mark.drill(id="application-errors", severity="critical", **FACTS)
def test_a_third_of_requests_answer_500(drill: Bench) -> None:
    """A release that answers 500 to a third of its requests is taken back."""
    drill(Scenario.back_to(GOOD, candidates.errors()))


@pytest.mark.exhaustive("the way back is that of application-crash")
@pytest.mark.drill(id="application-slow", severity="normal", **FACTS)
def test_ten_times_slower(drill: Bench) -> None:
    """A release that is ten times slower is taken back."""
    fault = candidates.slow()

    def fast_again(one: Case) -> list[Finding]:
        ended = one.history.last("rollback ended")
        now = latency(sample for sample in one.history.samples if ended is not None and sample.sent > ended)
        told = f"reads take {now * 1000:.0f} ms, {fault.usual * 1000:.0f} ms before the fault"
        return [Finding("fast again", Verdict.PASS if now < SLOWER * fault.usual else Verdict.FAIL, told)]

    drill(Scenario.back_to(GOOD, fault, budget_seen=SLOW_SAMPLES, further=fast_again))


@pytest.mark.exhaustive("the way back is that of application-crash")
@pytest.mark.drill(id="application-assets", severity="critical", **FACTS)
def test_frontend_asks_for_assets_that_do_not_exist(drill: Bench) -> None:
    """A release whose page cannot load its own assets is taken back."""
    drill(Scenario.back_to(GOOD, candidates.assets()))


@pytest.mark.exhaustive("the way back is that of application-crash")
@pytest.mark.drill(id="application-polygons", severity="critical", **FACTS)
def test_ml_returns_wrong_polygons(drill: Bench) -> None:
    """A release whose segmentation is wrong while all is green is taken back, and the longest upload is not cut."""
    drill(Scenario.back_to(GOOD, candidates.polygons(), operator=while_somebody_uploads, further=outlived))


@pytest.mark.gate
@pytest.mark.exhaustive("environment-jwt and application-last-good have env files")
@pytest.mark.drill(id="application-environment", severity="critical", brings=("env files", "Compose files"), **FACTS)
def test_environment_came_with_the_release(drill: Bench) -> None:
    """A release that came with a broken env file is taken back together with it."""
    drill(Scenario.back_to(GOOD, candidates.environment()))


@pytest.mark.exhaustive("environment-jwt has such a file")
@pytest.mark.drill(id="application-last-good", severity="critical", **FACTS)
def test_last_good_is_the_release_whose_env_file_is_broken(drill: Bench) -> None:
    """Where only an env file differs from what was recorded, `last-good` is that record, and not nothing."""
    drill(
        Scenario.back_to(
            GOOD,
            candidates.environment_alone(),
            command=("application", "last-good"),
            # wrong segmentations of v4.0.0 are nobody's: its images are sound
            blamed=(),
            said=(GOOD,),
            # what runs is the only record then: there is no other to go to
            again=REFUSED,
        )
    )
