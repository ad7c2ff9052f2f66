"""`rollback release`: releases that are seen to work, recorded; and what there is of them."""

from __future__ import annotations

from typing import Annotated

import typer

from rollback import lock, look
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import recording
from rollback.release import Shelf

__all__ = ["releases"]

releases = typer.Typer(no_args_is_help=True, help="Record releases that are seen to work, and see what is there.")


@releases.command("record")
def release_record(
    version: Annotated[str, typer.Argument(help="Name of the release, e.g. v4.0.0; also its git tag.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Record what runs now as VERSION, after verifying it; its images are kept from pruning."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    told = f"record what runs now as {version}, after the checklist has passed; its images are kept from pruning"
    if plan:
        lines = recording.sound(deployment, operations.journal, version)
        speaker.say(f"would {told}")
        speaker.checklist(lines, would=told)
        return
    with lock.held(operations.lock_file, f"release record {version}"):
        recording.sound(deployment, operations.journal, version)
        speaker.confirm(lambda: speaker.say(told))
        release = recording.record(deployment, operations.journal, version)
    speaker.say(f"{version} recorded: {len(release.images)} images, migration {release.migration_head}")
    speaker.document(release=release.as_json())


@releases.command("list")
def release_list(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """All recorded releases, oldest first, with what would hinder a rollback to each."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    with look.shared():
        found = [(one, recording.readiness(deployment, one)) for one in Shelf(deployment).all()]
    for release, hindered in found:
        speaker.say(
            f"{release.version:20} {release.recorded}  migration {release.migration_head}  {hindered or 'ready'}"
        )
    if not found:
        speaker.say("no release is recorded: `rollback release record VERSION`")
    speaker.document(releases=[{**one.as_json(), "bad": one.bad, "hindered": why} for one, why in found])


@releases.command("show")
def release_show(version: str, *, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """One release: images, files by hash, migrations."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    release = Shelf(deployment).get(version)
    speaker.say(f"{release.version}, recorded {release.recorded}, migration {release.migration_head}")
    speaker.say(f"works with migration {', '.join(release.works_with)}; git {release.commit or 'unknown'}")
    kept = (
        f"fingerprint {release.schema.digest[:12]}" if release.schema else "not recorded: no way for `rollback schema`"
    )
    speaker.say(f"schema {kept}")
    for role, image in release.images.items():
        speaker.say(f"  {role:10} {image.id[:19]} {image.name} answers {image.identity}")
    for group, records in release.files.items():
        for record in records:
            speaker.say(f"  {group:12} {record.sha256[:12]} {record.path}")
    if release.bad:
        speaker.say(f"  BAD: {release.bad}")
    speaker.document(release={**release.as_json(), "bad": release.bad})


@releases.command("bad")
def release_bad(  # noqa: PLR0913 -- the words of the command
    version: str,
    reason: Annotated[str, typer.Option("--reason", help="Shown to whoever tries to roll back to it.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Mark VERSION bad: no rollback chooses it any more."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    reason = operations.redactor().thorough(reason)
    told = f"mark {version} bad for good: no rollback chooses it any more ({reason})"
    Shelf(deployment).get(version)
    if plan:
        speaker.say(f"would {told}")
        speaker.document(would=told)
        return
    with lock.held(operations.lock_file, f"release bad {version}"):
        speaker.confirm(lambda: speaker.say(told))
        Shelf(deployment).mark_bad(version, reason)
        operations.journal.append("-", "bad", version=version, reason=reason)
    speaker.say(f"{version} is marked bad")
    speaker.document(version=version, bad=reason)
