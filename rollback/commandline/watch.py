"""`rollback watch`: a release after its deployment, and back with it when it is bad."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.documents.incident import WATCH
from rollback.operations import Operations, new_run
from rollback.outcome import Exit
from rollback.procedures import application, survey
from rollback.release import LAST_GOOD, Shelf
from rollback.watch.decision import Decision, Policy, Verdict
from rollback.watch.loop import Runs, Watch, no_rollback_of_a_rollback, the_same_still
from rollback.watch.memory import Memory
from rollback.watch.signals import Sensor

__all__ = ["watch"]


def watch(  # noqa: PLR0913 -- the words of the command
    *,
    to: Annotated[str, typer.Option("--to", help="A recorded release, or `last-good`.")] = LAST_GOOD,
    plan: PlanOnly = False,
    yes: Yes = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Watch what was just deployed, and put the release of before back when it is bad (`watch` in rollback.toml).

    Bad is: a service that is ill or is not what was deployed, requests that fail or are slow at the edge, compared with
    the release before, and error lines in the services' logs. Not seen are a wrong answer that is given with 200, and
    users of one kind, as one customer's, who fail on every path while all failures together stay below `error_percent`:
    the edge's log says what was asked and not by whom.

    Exit 0: healthy to the end. 60: it was bad, and was rolled back (`--dry-run`: would be). 50: nobody knows, or the
    signals could not be read; nothing was done. 20: a rollback put there what runs, or an operator is at work.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    there = _there(deployment)
    no_rollback_of_a_rollback(operations.journal, there, _recorded(deployment))

    def surveyed(run: str) -> dict[str, Any]:
        # under the lock of the run: a fix that came after the last look is not taken back
        the_same_still(there, _there(deployment))
        return survey.survey(deployment, to, run)

    # a target that cannot be gone back to is told before the night, not in it
    planned = operations.planned(surveyed, application.NAME)
    if plan:
        speaker.plan(planned)
        return
    version = str(planned.arguments["version"])
    decision = _decided(operations, speaker, version, {role: one.image for role, one in there.items()})
    speaker.say(f"{decision.verdict}: {decision.sentence}")
    if decision.verdict is not Verdict.ROLLBACK:
        _told(speaker, decision, Exit.DONE if decision.verdict is Verdict.HEALTHY else Exit.INCONCLUSIVE)
    if dry_run:
        speaker.say(f"would roll back to {version}")
        _told(speaker, decision, Exit.ROLLED_BACK)
    # the run that it begins has the same id: its post-mortem says what was seen
    run = new_run()
    operations.journal.append(run, WATCH, verdict=decision.verdict.value, reason=decision.sentence, to=version)
    carry_out(operations, speaker, application.NAME, lambda _: surveyed(run), plan_only=False, end=Exit.ROLLED_BACK)
    raise typer.Exit(Exit.ROLLED_BACK)


def _decided(operations: Operations, speaker: Speaker, version: str, images: dict[str, str]) -> Decision:
    deployment = operations.deployment
    policy = Policy(**deployment.settings.watch.model_dump())
    sensor = Sensor(deployment, images)
    baseline = sensor.baseline(version, policy.requests)
    speaker.say(
        f"compared with {version}: {baseline.error_percent:.1f} % failed, median {baseline.seconds} s"
        if baseline
        else f"the edge's log does not say how {version} served: its latency is no measure"
    )
    memory = Memory(deployment.state / "watch.jsonl", {"to": version, "images": images})
    return Watch(policy, baseline, sensor.look, operations.journal, memory, speaker.working, speaker.say).decided()


def _there(deployment: Deployment) -> dict[str, Runs]:
    found = {one.service: Runs(one.id, one.image, one.created) for one in deployment.containers() if not one.one_off}
    return {role: found.get(one.service, Runs()) for role, one in sorted(deployment.settings.services.items())}


def _recorded(deployment: Deployment) -> dict[str, set[str]]:
    return {one.version: {image.id for image in one.images.values()} for one in Shelf(deployment).all()}


def _told(speaker: Speaker, decision: Decision, end: Exit) -> None:
    speaker.document(end, verdict=decision.verdict.value, found=decision.sentence)
    raise typer.Exit(end)
