"""`rollback migration`: whether migrations can be taken back, taking them back with proof, and forward again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback.commandline.migration_check import check
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, understood
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import UsageError
from rollback.procedures import migration as procedure

__all__ = ["migrations"]


migrations = typer.Typer(
    cls=understood("back", r"[0-9].*|--steps.*"),
    no_args_is_help=True,
    help="Take database migrations back, newest first, each proven before it commits.\n\n"
    "`rollback migration 012` takes back the newest migration, `rollback migration 012 011 010` or `--steps 3` three."
    " `check` tells beforehand whether they can be.",
)


migrations.command("check")(check)


@migrations.command("back")
def back(  # noqa: PLR0913 -- the words of the command
    versions: Annotated[list[str] | None, typer.Argument(help="Applied migrations, newest first: 012 011.")] = None,
    *,
    steps: Annotated[int, typer.Option(min=0, help="How many, where none is named.")] = 0,
    outage: Annotated[bool, typer.Option("--outage", help="Although what runs cannot work without it.")] = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Take migrations back, newest first (the word `back` may be left out).

    Each script runs in one transaction that commits only if exactly what the migration made is gone again and no
    other row was written. What would be lost by it goes to an attic; `rollback migration forward` brings it back.
    A migration that changed rows of others, or did something out of sight, is refused: only a restore undoes that.
    Tables that somebody holds are asked for again and again for a minute, in short tries, so that users do not queue;
    then it is refused with who holds them and the statement that ends it.
    """
    named = versions or []
    if bool(named) == bool(steps):
        raise UsageError("Say either which migrations or how many with --steps.", "e.g. `rollback migration 012`")
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey(deployment, named, steps, run, outage=outage)

    carry_out(Operations(deployment, speaker), speaker, procedure.NAME, surveyed, plan_only=plan)


@migrations.command("forward")
def forward(
    version: Annotated[str, typer.Argument(help="A migration that was taken back: 012.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Apply a migration that was taken back again, with the rows and values that the attic has kept of it."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey_forward(deployment, version, run)

    carry_out(Operations(deployment, speaker), speaker, procedure.FORWARD, surveyed, plan_only=plan)
