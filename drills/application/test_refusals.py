"""Application Rollback / Quick Rollback: what must be refused, before anything stops and with nothing touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures.checks.evidence import MENDED
from fixtures.command import run
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.release import RotatedPassword
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.drill import Drill
    from fixtures.faults.release import BadRelease

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.application]

SECTION = "Application Rollback / Quick Rollback (Docker)"
FACTS = {"section": SECTION, "procedure": "application", "objective": None}
REFUSED = 20
NOTHING_TO_DO = 10


def stopped(fault: BadRelease, target: str, *said: str, code: int = REFUSED) -> Scenario:
    """The command ends without touching anything."""
    return Scenario(
        (GOOD,), fault, ("application", target), {}, exit=code, said=said, blamed=(fault.version,), unchanged=True
    )


@pytest.mark.exhaustive("the rule has its unit tests")
@pytest.mark.drill(id="application-unknown-version", severity="normal", **FACTS)
def test_unknown_version_is_refused(drill: Bench) -> None:
    """A version that was never recorded is refused, and the recorded ones are named."""
    drill(stopped(candidates.polygons(), "v9.9.9", "There is no recorded release v9.9.9", f"recorded: {GOOD}"))


@pytest.mark.exhaustive("the rule has its unit tests")
@pytest.mark.drill(id="application-bad-version", severity="normal", **FACTS)
def test_bad_version_is_refused(drill: Bench) -> None:
    """A release marked bad is refused with the reason somebody gave."""

    def marked(one: Drill) -> None:
        words = ("release", "bad", GOOD, "--reason", "leaks Spheroids über Nacht", "--yes")
        one.stack.rollback(*words).check()

    refused = stopped(candidates.polygons(), GOOD, "v4.0.0 is marked bad", "leaks Spheroids über Nacht")
    drill(replace(refused, before_command=marked))


@pytest.mark.exhaustive("the rule has its unit tests")
@pytest.mark.drill(id="application-gone", severity="critical", **FACTS)
def test_pruned_image_without_a_tag_is_refused(drill: Bench) -> None:
    """The target's images are gone and no git tag can rebuild them: refused before anything stops."""

    def pruned(one: Drill) -> None:
        one.stack.prune(GOOD)
        run(["git", "tag", "-d", GOOD], cwd=one.stack.checkout).check()

    refused = stopped(candidates.polygons(), GOOD, "is gone and there is no git tag v4.0.0")
    drill(replace(refused, before_command=pruned, unique_images=True))


@pytest.mark.exhaustive("the rule has its unit tests")
@pytest.mark.drill(id="application-schema", severity="critical", **FACTS)
def test_schema_that_the_target_cannot_work_with_is_refused(drill: Bench) -> None:
    """A migration stands between: refused, and it is named."""
    said = ("v4.0.0 works with migration 012; the database is at 013", "migrations stand between: 013")
    drill(stopped(candidates.schema(), GOOD, *said))


@pytest.mark.exhaustive("the rule has its unit tests")
@pytest.mark.drill(id="application-others", severity="critical", **FACTS)
def test_files_that_would_change_the_cache_are_refused(drill: Bench) -> None:
    """The release before defines Redis otherwise: the next `up` would replace it, so the operator decides first."""

    def redefined(one: Drill) -> None:
        compose = one.stack.checkout / "docker-compose.yml"
        text = compose.read_text(encoding="utf-8")
        assert text.count("--appendonly yes") == 1
        compose.write_text(text.replace("--appendonly yes", "--appendonly no"), encoding="utf-8")

    said = ("would change more than the application: redis is defined otherwise",)
    drill(replace(stopped(candidates.polygons(), GOOD, *said), before_command=redefined))


@pytest.mark.exhaustive("a sabotage drills it every month as well")
@pytest.mark.drill(id="application-unhealthy-target", severity="critical", **FACTS)
def test_target_that_does_not_become_healthy_is_refused(drill: Bench) -> None:
    """The database password was rotated since: the target cannot come up beside the current release."""
    like = candidates.polygons()
    story = f"{like.story} With it came a new database password, which the release before does not know."
    fault = RotatedPassword(like.version, like.over, story, like.symptom)
    drill(stopped(fault, GOOD, "proven beside the current release"))


@pytest.mark.exhaustive("every drill types its command twice")
@pytest.mark.drill(id="application-nothing-to-do", severity="minor", **FACTS)
def test_already_on_the_target(drill: Bench) -> None:
    """Somebody was faster and deployed v4.0.0 again: there is nothing to do, and nothing is done."""

    def healed(one: Drill) -> None:
        one.recorder.mark(MENDED)
        one.scenario.fault.heal(one.stack)

    nothing = stopped(candidates.polygons(), GOOD, "v4.0.0 runs already", code=NOTHING_TO_DO)
    drill(replace(nothing, before_command=healed))
