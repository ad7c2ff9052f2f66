"""`rollback schema`: the schema of the database as a backup or a release has it, the rows kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.database.backup.opened import restored_once
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import schema as procedure

__all__ = ["schema"]


def schema(  # noqa: PLR0913 -- the words of the command
    target: Annotated[
        str, typer.Argument(help="A backup (its id, or `latest`), or a recorded release (v4.0.0, or `last-good`).")
    ],
    *,
    outage: Annotated[bool, typer.Option("--outage", help="Although what runs cannot work with it.")] = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Bring the schema back to that of TARGET and keep the rows; --plan shows the statements.

    What differs is found as SQL in a scratch PostgreSQL and rehearsed there. On the live database it is one transaction
    that commits only if the schema's fingerprint is the recorded one and every value of both sides is what it was.
    What goes (rows of tables, values of columns, values that do not fit any more) is kept in an attic. A table or
    column that comes back has its values from the backup; from a release it comes empty, for a release keeps no rows.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey(deployment, target, run, outage=outage)

    with restored_once():
        carry_out(Operations(deployment, speaker), speaker, procedure.NAME, surveyed, plan_only=plan)
