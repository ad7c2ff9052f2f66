"""`rollback switch`: users from one colour to the other."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import switch as procedure

__all__ = ["switch"]


def switch(  # noqa: PLR0913 -- the words of the command
    colour: Annotated[str, typer.Argument(help="Where users shall be: a colour of [switch.colours].")],
    *,
    retire: Annotated[bool, typer.Option("--retire", help="Stop the other colour in the end; it is kept.")] = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Move users to the other colour of a service without anybody noticing, blue-green.

    COLOUR is started if it does not run, proves that it is healthy and can work with the schema (by its own word, or as
    its image was recorded; where nobody says, that is told and it passes), takes over at the edge and is watched for
    [switch] bake_seconds: if it turns bad, users go back at once (exit 30). Then what runs on the other one ends where
    it began. The other one stays warm for an instant way back, until `--retire` stops it: after nginx has read the
    edge's file anew and COLOUR answered through it. A file that was edited by hand is not believed.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey(deployment, colour, run, retire=retire)

    carry_out(Operations(deployment, speaker), speaker, procedure.NAME, surveyed, plan_only=plan)
