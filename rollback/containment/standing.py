"""Whether the deployment is shut just now, from the file that says where its containers were at home."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rollback.outcome import Refused
from rollback.parts import files

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["Home", "Standing", "refuse_others"]

_FILE = "contained.json"


@dataclass(frozen=True)
class Home:
    """One end of a container in a network: its names there, and its address where that was a fixed one."""

    network: str
    aliases: list[str]
    address: str | None


@dataclass
class Standing:
    """Where the containers were at home before the deployment was shut.

    Attributes:
        since: UTC, ISO 8601.
        homes: by ID of the container.
        ports: what the edge published, as `address:port:inside`.
        stopped: IDs of containers that could not be moved, or did not stay up for long enough, and were stopped for it.
    """

    since: str
    homes: dict[str, list[Home]] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    @classmethod
    def path(cls, deployment: Deployment) -> Path:
        """Where it is kept."""
        return deployment.state / _FILE

    @classmethod
    def read(cls, deployment: Deployment) -> Standing | None:
        """What is kept; None: the deployment is open."""
        path = cls.path(deployment)
        if not path.is_file():
            return None
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        homes = {name: [Home(**one) for one in some] for name, some in raw["homes"].items()}
        return cls(raw["since"], homes, raw["ports"], raw.get("stopped", []))

    def write(self, deployment: Deployment) -> None:
        """Keep it: from now on the deployment counts as shut."""
        files.write(self.path(deployment), json.dumps(asdict(self), indent=1) + "\n", mode=0o600)


def refuse_others(deployment: Deployment, procedure: str, own: str) -> None:
    """Say that the deployment is open, for every procedure but that of containment.

    Raises:
        Refused: it is shut: what others start would be at home in networks that lead out.
    """
    standing = Standing.read(deployment) if procedure != own else None
    if standing is not None:
        raise Refused(
            f"The deployment is isolated since {standing.since}: nothing else is carried out meanwhile.",
            "go on with `rollback contain`, or open it with `rollback contain reopen`; where its containers are gone,"
            " `rollback contain rotate` makes them anew first, behind the shut door",
        )
