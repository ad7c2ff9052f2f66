"""`rollback nginx`: a part of the configuration as a recorded release had it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import configuration as procedure

__all__ = ["nginx"]


def nginx(
    version: Annotated[str, typer.Argument(help="A recorded release, or `last-good`.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the edge's configuration back as VERSION had it, without ending requests that are under way.

    nginx tests the files in a container of its own, with the names that they need, before the real one sees them. A
    reload is believed when the edge answers a new generation on the listener that users reach; one that is accepted and
    not applied is put back. Which containers serve stays as it is, and files that VERSION did not have are set aside.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return procedure.survey(deployment, procedure.NGINX, version, run)

    carry_out(Operations(deployment, speaker), speaker, procedure.NAME, surveyed, plan_only=plan)
