"""`rollback rows`: damaged and lost rows of a table put back from a backup, and such repairs taken back."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated, Any

import typer

from rollback import lock
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, understood
from rollback.console import Speaker
from rollback.database.backup.opened import restored_once
from rollback.database.rows.condition import condition
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import rows as procedure
from rollback.procedures import rows_undone

__all__ = ["rows"]


rows = typer.Typer(
    cls=understood(
        "repair", r"(?!(?:repair|undo|kept|drop)$)(?:[^-].*|--(?:from|where|overwrite|list|plan|yes|json).*)"
    ),
    no_args_is_help=True,
    help="Put damaged and lost rows of a table back from a backup, and nothing else; users go on.\n\n`rollback rows"
    " TABLE --from BACKUP` compares, decides row by row and repairs; `undo`, `kept` and `drop` are about what is kept.",
)


@rows.command()
def repair(  # noqa: PLR0913 -- the words of the command
    table: Annotated[str, typer.Argument(help="The table, e.g. `images`.")],
    backup: Annotated[str, typer.Option("--from", metavar="BACKUP", help="An id, or `latest`.")],
    *,
    where: Annotated[str, typer.Option("--where", metavar="SQL", help='Which rows, e.g. "width < 0".')] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also rows that say they were changed since the backup.")
    ] = False,
    listed: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="Write each row with old, new and decision there.")
    ] = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put damaged and lost rows of TABLE back from a backup (the word `repair` may be left out).

    The backup is restored into a scratch PostgreSQL and compared row by row: rows that differ get the backup's values,
    rows that are gone come back with their children. Rows that are new, or that say they were changed since, are listed
    and left. --where counts for the live row or for the backup's. One transaction, which commits only if every other
    row is what it was; the rows as they were are kept. --plan compares as well, which takes as long as a restore.
    """
    if where:
        condition(where)
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    order = procedure.Order(table, backup, where, overwrite, listed)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey(deployment, order, run)

    with restored_once():
        carry_out(Operations(deployment, speaker), speaker, procedure.NAME, surveyed, plan_only=plan)


@rows.command()
def undo(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run from `rollback rows kept`, or `latest`.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Take a finished repair back: the rows as they were before it, if nobody has changed them since.

    One transaction, which commits only if every other row is what it was. What was kept stays, so that the repair can
    be made again by `rollback rows TABLE --from BACKUP`.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(new: str) -> dict[str, Any]:
        return rows_undone.survey(deployment, run, new)

    carry_out(Operations(deployment, speaker), speaker, rows_undone.NAME, surveyed, plan_only=plan)


@rows.command()
def kept(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """The repairs of which the rows of before are kept, oldest first."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    found = rows_undone.listed(deployment)
    for one in found:
        tables = "; ".join(f"{name}: {n['repaired']} repaired, {n['back']} back" for name, n in one["tables"].items())
        speaker.say(f"{one['run']}  {'stands' if one['stands'] else 'taken back'}  {tables}")
    speaker.document(kept=found)


@rows.command()
def drop(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run from `rollback rows kept`.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Drop the rows of before that a repair has kept; it cannot be taken back any more."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    with lock.held(operations.lock_file, f"rows drop {run}"):
        operations.no_open_run()
        speaker.confirm(lambda: speaker.say(f"the rows that {run} has kept will be dropped for good"))
        rows_undone.drop(deployment, run)
        operations.journal.append("-", "rows", did="dropped", repair=run, summary=f"dropped the kept rows of {run}")
    speaker.say(f"the rows that {run} has kept are dropped")
    speaker.document(dropped=run)
