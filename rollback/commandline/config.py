"""`rollback config`: the configuration recorded outside of a release, and compared."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rollback import lock
from rollback.commandline.options import HERE, AsJson, Directory
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.parts.snapshot import Snapshots, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.parts.snapshot import Change

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="Record env, Compose, nginx, certificate and monitoring files, and compare."
)


@app.command()
def snapshot(
    name: Annotated[str, typer.Argument(help="What to call it, e.g. before-the-new-limits.")],
    *,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Record all parts of the configuration as they are now, private to the operator; nothing else is touched."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    with lock.held(Operations(deployment, speaker).lock_file, f"config snapshot {name}"):
        taken = Snapshots(deployment).take(name)
    count = sum(map(len, taken.files.values()))
    speaker.say(f"{name} recorded: {count} files; `rollback config diff {name}` compares it with what is there")
    speaker.document(name=name, taken=taken.taken, files=count)


@app.command("list")
def list_(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """All snapshots, oldest first; releases have their files too (`rollback release list`)."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    found = Snapshots(deployment).all()
    for one in found:
        speaker.say(f"{one.name:30} {one.taken}  {sum(map(len, one.files.values()))} files")
    if not found:
        speaker.say("no snapshot is recorded: `rollback config snapshot NAME`")
    speaker.document(snapshots=[{"name": one.name, "taken": one.taken} for one in found])


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A snapshot or a release.")],
    after: Annotated[str | None, typer.Argument(metavar="[B]", help="Another one; else what is there now.")] = None,
    *,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """How the files differ: text, mode, owner. Of env files only the names of variables, of certificates no text."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    shelf, redact = Snapshots(deployment), Operations(deployment, Speaker(as_json=False)).redactor()
    with ExitStack() as stack:
        there = shelf.get(after) if after else stack.enter_context(shelf.now())
        found = list(differences(shelf.get(before), there))
    for one in found:
        _say(speaker, one, redact)
    speaker.say(f"{len(found)} files differ" if found else "no file differs")
    speaker.document(before=before, after=after or "now", differences=[_clean(one, redact) for one in found])


def _say(speaker: Speaker, one: Change, redact: Callable[[str], str]) -> None:
    speaker.say(f"{one.group}: {one.path}: {one.what}")
    for line in one.lines:
        speaker.say(f"    {redact(line)}")


def _clean(one: Change, redact: Callable[[str], str]) -> dict[str, object]:
    return {**asdict(one), "lines": [redact(line) for line in one.lines]}
