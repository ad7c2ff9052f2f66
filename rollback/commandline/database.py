"""`rollback database`: the database as a backup has it, and the databases of before that are kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback import lock
from rollback.commandline.options import HERE, AsJson, Directory, NameOfBackup, PlanOnly, Yes, carry_out, understood
from rollback.console import Speaker
from rollback.database import beside, server
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import restoration
from rollback.procedures.restoration_survey import survey

__all__ = ["databases"]

databases = typer.Typer(
    cls=understood("restore", r"[0-9].*|latest"),
    no_args_is_help=True,
    help="Put the database back as a backup has it.\n\n`rollback database BACKUP` restores beside the live one, proves"
    " it, tells what will not be there, and swaps; `kept` and `drop` are about the databases of before.",
)


@databases.command()
def restore(  # noqa: PLR0913 -- the words of the command
    backup: NameOfBackup,
    *,
    stale: Annotated[bool, typer.Option("--stale", help="Although it is older than max_age_hours.")] = False,
    outage: Annotated[bool, typer.Option("--outage", help="Although what runs cannot work with its schema.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Users only read from the beginning: nothing later is lost.")
    ] = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the database back as BACKUP has it (the word `restore` may be left out).

    Users read and write until it stands beside the live one, equal to its manifest. Then writes stop, the rows that
    will not be there are listed, and two renames swap the databases. The one of before is kept.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return survey(deployment, backup, run, stale=stale, outage=outage, read_only=read_only)

    carry_out(Operations(deployment, speaker), speaker, restoration.NAME, surveyed, plan_only=plan)


@databases.command()
def kept(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """The databases of before that rollbacks have kept, oldest first, with their size."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    with server.of_deployment(deployment) as live:
        found = beside.kept(live, deployment.settings.database.name)
    for name, size in found:
        speaker.say(f"{name}  {size / 1e6:.1f} MB")
    speaker.document(kept=[{"name": name, "size": size} for name, size in found])


@databases.command()
def drop(
    name: Annotated[str, typer.Argument(help="A name from `rollback database kept`.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Drop a database of before; it is gone then, and only a backup brings it back."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    with lock.held(operations.lock_file, f"database drop {name}"), server.of_deployment(deployment) as live:
        operations.no_open_run()
        speaker.confirm(lambda: speaker.say(f"{name} will be dropped for good"))
        beside.drop_kept(live, deployment.settings.database.name, name)
        operations.journal.append("-", "database", did="dropped", database=name, summary=f"dropped {name}")
    speaker.say(f"{name} is dropped")
    speaker.document(dropped=name)
