"""`rollback compose`, `environment`, `nginx`, `certificates`, `monitoring`: a part as a recorded release had it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.procedures import compose as composition
from rollback.procedures import configuration as procedure
from rollback.procedures import environment as env
from rollback.procedures import monitoring as watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["certificates", "compose", "environment", "monitoring", "nginx"]

Version = Annotated[str, typer.Argument(help="A recorded release, a snapshot, or `last-good`.")]


def _put_back(
    directory: Path, speaker: Speaker, name: str, survey: Callable[[Deployment, str], dict[str, Any]], *, plan: bool
) -> None:
    deployment = Deployment.load(directory)
    carry_out(Operations(deployment, speaker), speaker, name, lambda run: survey(deployment, run), plan_only=plan)


def nginx(
    version: Version,
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
    What is under way has as long as nginx's `worker_shutdown_timeout` gives it (30 s in the reference); WebSockets and
    answers that take longer are ended then.
    """
    _put_back(
        directory,
        Speaker(as_json, yes),
        procedure.NAME,
        lambda of, run: procedure.survey(of, procedure.NGINX, version, run),
        plan=plan,
    )


def certificates(
    version: Version,
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the edge's certificates back as VERSION had them, without ending requests that are under way.

    Before they serve a client shakes hands with each of them: the key fits, the chain is whole, every host name is
    covered, the dates are good for some days still (`certificates` in rollback.toml), and nobody else can read the key;
    else VERSION is refused. Afterwards every TLS listener of the edge is asked which certificate it shows.
    What is under way has as long as nginx's `worker_shutdown_timeout` gives it (30 s in the reference); WebSockets and
    answers that take longer are ended then.
    """
    _put_back(
        directory,
        Speaker(as_json, yes),
        procedure.NAME,
        lambda of, run: procedure.survey(of, procedure.CERTIFICATES, version, run),
        plan=plan,
    )


def environment(
    version: Version,
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the env files back as VERSION had them, byte for byte, without stopping users; the images stay.

    The plan tells which variables change for which service, never to what, as Compose itself reads them. The services
    that they change start beside with them, prove themselves and take over at the edge before the others are stopped.
    Services that no release has (Redis, the database, the edge) are made anew by Compose on their volumes, each away
    for a moment, and the plan says which. If the files name other images, `rollback application` is the way.
    """
    _put_back(directory, Speaker(as_json, yes), env.NAME, lambda of, run: env.survey(of, version, run), plan=plan)


def compose(
    version: Version,
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the Compose files back as VERSION had them; the images stay, and what they do not change is not touched.

    Released services go back traffic-first; others (the edge, the database) are made anew by Compose, and the plan says
    which. Services that VERSION does not have are stopped and removed with their log and an image kept; volumes stay.
    A network whose definition changed is made anew with all that is in it: users reach nothing meanwhile, and the plan
    says so. Options of volumes are not brought back: a volume would have to be deleted. Files that Compose cannot read
    are no obstacle.
    """
    _put_back(
        directory,
        Speaker(as_json, yes),
        composition.NAME,
        lambda of, run: composition.survey(of, version, run),
        plan=plan,
    )


def monitoring(
    version: Version,
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put the monitoring stack back as VERSION had it, with its metrics kept; the application is not touched.

    promtool and amtool judge the files first, in containers of their own. What the files do not change goes on running
    and reads them again; the rest is made anew on the same volumes. It is done when every target is up and every rule
    loaded, and says how long samples were missing.
    """
    _put_back(
        directory, Speaker(as_json, yes), watched.NAME, lambda of, run: watched.survey(of, version, run), plan=plan
    )
