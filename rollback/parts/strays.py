"""Volumes of the deployment: which are in use, which a release needs, and which nothing names any more.

No procedure deletes one. What a bad Compose file added stays until somebody drops it by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.outcome import Refused
from rollback.parts.monitoring import Monitoring
from rollback.parts.standin import release_compose
from rollback.release import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.composing import Compose
    from rollback.deployment import Deployment

__all__ = ["Volume", "drop", "listed"]

_PROJECT = "com.docker.compose.project"


@dataclass(frozen=True)
class Volume:
    """One volume that bears the deployment's label.

    Attributes:
        users: containers that mount it, running or not.
        named_by: the files of now, and releases, whose Compose files name it.
    """

    name: str
    users: tuple[str, ...]
    named_by: tuple[str, ...]

    @property
    def stray(self) -> bool:
        """Nothing mounts it and nothing names it."""
        return not self.users and not self.named_by

    @property
    def told(self) -> str:
        """What holds it, for people."""
        told = [f"mounted by {', '.join(self.users)}"] if self.users else []
        told += [f"named by {', '.join(self.named_by)}"] if self.named_by else []
        return "; ".join(told) or "nothing mounts it and nothing names it"


def listed(deployment: Deployment) -> list[Volume]:
    """The volumes of the deployment and of its monitoring stack, by name.

    Raises:
        Refused: Compose cannot read the files of now, or those of a release: what they name is not known.
    """
    known = list(_named(deployment))
    return [
        Volume(name, _users(deployment, name), tuple(dict.fromkeys(whose for whose, some in known if name in some)))
        for name in _there(deployment)
    ]


def _there(deployment: Deployment) -> list[str]:
    projects = [deployment.project]
    if deployment.settings.monitoring.files:
        projects.append(Monitoring.beside(deployment).project)
    asked = [deployment.engine.ask(commands.volumes(f"label={_PROJECT}={one}")) for one in projects]
    return sorted(name for some in asked for name in some.split())


def _users(deployment: Deployment, volume: str) -> tuple[str, ...]:
    ids = deployment.engine.ask(commands.containers(f"volume={volume}")).split()
    found = json.loads(deployment.engine.ask(commands.inspect("container", ids))) if ids else []
    return tuple(sorted(str(one["Name"]).lstrip("/") for one in found))


def _named(deployment: Deployment) -> Iterator[tuple[str, set[str]]]:
    """Whose files name which volumes, as Compose reads them."""
    colours = [name for one in deployment.settings.switch.colours.values() for name in one.files]
    yield "the files of now", _volumes(deployment, deployment.compose)
    if colours:
        yield "the other colour", _volumes(deployment, deployment.compose.with_files(colours))
    if deployment.settings.monitoring.files:
        monitoring = Monitoring.beside(deployment)
        yield "the monitoring files of now", _volumes(monitoring, monitoring.compose)
        for release in Shelf(deployment).all():
            if release.files.get("monitoring"):
                compose = monitoring.laid_out(release.store, monitoring.project)
                yield release.version, _volumes(monitoring, compose)
    for release in Shelf(deployment).all():
        yield release.version, _volumes(deployment, release_compose(deployment, release))


def _volumes(deployment: Deployment, compose: Compose) -> set[str]:
    return {str(one["name"]) for one in (deployment.config(compose).get("volumes") or {}).values()}


def drop(deployment: Deployment, names: list[str]) -> None:
    """Delete volumes that nothing mounts and nothing names, with what is in them.

    Raises:
        Refused: one of them is not the deployment's, or something mounts or names it; then none is deleted.
    """
    check(deployment, names)
    deployment.engine.ask(commands.drop_volumes(names))


def check(deployment: Deployment, names: list[str]) -> None:
    """Say that all of them may be dropped.

    Raises:
        Refused: see `drop`.
    """
    there = {one.name: one for one in listed(deployment)}
    for name in names:
        if name not in there:
            raise Refused(f"There is no volume {name} of this deployment.", "`rollback volume list`")
        if not there[name].stray:
            raise Refused(f"The volume {name} is needed: {there[name].told}.", "only what nothing needs can be dropped")
