"""`rollback contain`: what is done after a breach, as a whole and part by part."""

from __future__ import annotations

from typing import Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, understood
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import containment

__all__ = ["containments"]

containments = typer.Typer(
    cls=understood("all", r"--(?:plan|yes|json|directory).*|-[yC].*"),
    help="After a breach: shut, keep the evidence, change every secret, take back what was given out, open again.\n\n"
    "`rollback contain --yes` does it in that order (the word `all` may be left out); each part can be carried out alone. A failure opens nothing.",
    no_args_is_help=True,
)


def _contained(parts: tuple[str, ...], directory: Any, *, plan: bool, yes: bool, as_json: bool) -> None:
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return containment.survey(deployment, parts, run)

    carry_out(Operations(deployment, speaker), speaker, containment.NAME, surveyed, plan_only=plan)


@containments.command("all")
def everything(
    *, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE
) -> None:
    """All of it, in order; what fails leaves the deployment shut, and `rollback resume` goes on."""
    parts = tuple(one for one in containment.PARTS if one != "restore")
    _contained(parts, directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def isolate(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Outside only a maintenance page, inside no way out; `rollback contain reopen` undoes it.

    Every container moves into a network without a way out and without an address of this host; an nginx of ours holds
    the edge's ports. No rule of the host's firewall is touched. Operators of [containment] allow get past the page.
    """
    _contained(("isolate",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def preserve(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Logs, processes, connections, changed files and the database into a sealed archive outside of the checkout."""
    _contained(("preserve",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def rotate(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Every secret of [containment.secrets] gets another value, in the checkout and in all that is recorded.

    The services are made anew with them. Values are never printed; what was revoked is known by its hash for good.
    """
    _contained(("rotate",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def revoke(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Tokens and sessions end, every user has to set a new password, strangers lose their sign-in at the database."""
    _contained(("revoke",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def reopen(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Everybody back into his own networks, the edge back at its ports, the checklist read."""
    _contained(("reopen",), directory, plan=plan, yes=yes, as_json=as_json)
