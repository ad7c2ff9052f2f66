"""`rollback rows`: damaged and lost rows of a table put back from a backup."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.database.backup.opened import restored_once
from rollback.database.rows.condition import condition
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import rows as procedure

__all__ = ["rows"]


def rows(  # noqa: PLR0913 -- the words of the command
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
    """Put damaged and lost rows of TABLE back from a backup, and nothing else; users go on.

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
