"""Who cannot be moved into the closed network, and is stopped while the deployment is shut.

A container in the network of the host or of another one is led out of it by nothing that the engine has. The monitoring
stack is a project of its own: it publishes ports, has a network with a way out, and knows the database's password.
Stopped they answer nobody and send nothing; they are kept as they are, for the evidence, and started again at home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.containment.members import foreign, name
from rollback.containment.standing import Standing
from rollback.engine import inspected
from rollback.outcome import Failed
from rollback.parts.monitoring import Monitoring

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rollback.deployment import Deployment

__all__ = ["Apart", "records"]

_PROJECT, _FOLDER = "com.docker.compose.project", "com.docker.compose.project.working_dir"
_STOP_SECONDS = 5


def records(deployment: Deployment, *labels: str) -> list[dict[str, Any]]:
    """The engine's record of every container that bears all of these labels.

    Raises:
        Failed: it names containers and tells of none: nobody could say that they are shut in.
    """
    ids = deployment.engine.ask(commands.containers(*(f"label={one}" for one in labels))).split()
    found = inspected(deployment.engine.run(commands.inspect("container", ids))) if ids else []
    if ids and not found:
        raise Failed("The engine tells nothing of the deployment's containers.", "`docker ps`, then repeat it")
    return found


@dataclass(frozen=True)
class Apart:
    """Those of one deployment."""

    deployment: Deployment

    def monitoring(self) -> list[dict[str, Any]]:
        """The engine's records of the monitoring stack, as far as it was made from this checkout.

        Raises:
            Refused: Compose cannot say which project that is.
        """
        if not self.deployment.settings.monitoring.files:
            return []
        one = Monitoring.beside(self.deployment)
        if one.project == self.deployment.project:  # then they are shut in like all others of it
            return []
        return records(self.deployment, f"{_PROJECT}={one.project}", f"{_FOLDER}={one.folder}")

    def strangers(self) -> list[str]:
        """Folders of other checkouts whose containers bear the monitoring project's name: those go on running."""
        if not self.deployment.settings.monitoring.files:
            return []
        one = Monitoring.beside(self.deployment)
        return one.strangers() if one.project != self.deployment.project else []

    def up(self, inside: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that run; one that is brought back again and again counts as well.

        Args:
            inside: the engine's records of the deployment's own containers.
        """
        return [one for one in self._all(inside) if one["State"]["Running"] or one["State"].get("Restarting")]

    def _all(self, inside: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*(one for one in inside if foreign(one)), *self.monitoring()]

    def stop(self, inside: Iterable[dict[str, Any]]) -> None:
        """Stop them; noted first, for whoever opens the deployment starts them again."""
        ids = [str(one["Id"]) for one in self.up(inside)]
        if ids:
            self.wait(ids)
            self.deployment.engine.ask(commands.stop(ids, seconds=_STOP_SECONDS))

    def wait(self, ids: Collection[str]) -> None:
        """Note that these are to be started when the deployment is opened."""
        standing = Standing.read(self.deployment)
        if standing is not None and not set(ids) <= set(standing.stopped):
            standing.stopped = sorted({*standing.stopped, *ids})
            standing.write(self.deployment)

    def waiting(self, inside: Iterable[dict[str, Any]]) -> set[str]:
        """IDs of the deployment's own containers that are started no earlier than it is opened."""
        standing = Standing.read(self.deployment)
        return {one["Id"] for one in inside if foreign(one)} & set(standing.stopped) if standing else set()

    def start(self, standing: Standing, inside: Iterable[dict[str, Any]]) -> None:
        """Start those that were stopped; last, for whoever lives with another one has to find him as he stays.

        Raises:
            CommandFailed: the engine refuses.
        """
        ids = [str(one["Id"]) for one in self._all(inside) if one["Id"] in standing.stopped]
        if ids:
            self.deployment.engine.ask(commands.start(ids))

    def told(self, inside: Iterable[dict[str, Any]]) -> list[str]:
        """The names of those that run."""
        return sorted(name(one) for one in self.up(inside))
