"""`rollback volume`: what a Compose file has left, and the one command that deletes a volume."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from rollback import lock
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.parts import strays

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Volumes that a Compose file has left, and who needs each.")


@app.command("list")
def list_(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Every volume of the deployment and of its monitoring stack: who mounts it, whose files name it."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    found = strays.listed(deployment)
    speaker.table(("volume", "needed"), [(one.name, one.told) for one in found])
    speaker.document(volumes=[{**asdict(one), "stray": one.stray} for one in found])


@app.command()
def drop(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Volumes from `rollback volume list`.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Delete volumes with what is in them: only such as nothing mounts, and no file and no release names."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations, told = Operations(deployment, speaker), f"delete {', '.join(names)} with all that is in it"
    if plan:
        strays.check(deployment, names)
        speaker.say(f"would {told}")
        speaker.document(would=told)
        return
    with lock.held(operations.lock_file, f"volume drop {' '.join(names)}"):
        operations.no_open_run()
        strays.check(deployment, names)
        speaker.confirm(lambda: speaker.say(told))
        strays.drop(deployment, names)
        operations.journal.append("-", "volume", did="dropped", names=names, summary=f"dropped {', '.join(names)}")
    speaker.say(f"{', '.join(names)} deleted")
    speaker.document(dropped=names)
