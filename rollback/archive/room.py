"""Whether a full backup, or a recovery from one, has room: both figures are told before anything is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rollback.deployment import Deployment
    from rollback.engine import Engine

__all__ = ["Place", "database", "enough", "free", "images", "lies_on", "volume"]

_MEGA = 1e6
_KILO = 1024


@dataclass(frozen=True)
class Place:
    """Something that is going to be written.

    Attributes:
        what: for the operator.
        folder: where; it need not be there yet.
        parts: its parts, with bytes.
        next_step: what makes room there.
    """

    what: str
    folder: Path
    parts: Mapping[str, int]
    next_step: str

    @property
    def needed(self) -> int:
        """Bytes in all."""
        return sum(self.parts.values())


def lies_on(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(one for one in (path, *path.parents) if one.is_dir())


def free(folder: Path) -> int:
    """Bytes that may still be written there."""
    return shutil.disk_usage(lies_on(folder)).free


def enough(places: Iterable[Place]) -> None:
    """Say that all of them have room; what goes to one file system is added up.

    Raises:
        Refused: one has none, with both figures and what the need is made of.
    """
    taken: dict[int, int] = {}
    for one in places:
        device = lies_on(one.folder).stat().st_dev
        taken[device] = taken.get(device, 0) + one.needed
        there = free(one.folder)
        if there < taken[device]:
            parts = ", ".join(f"{name} {size / _MEGA:.0f}" for name, size in one.parts.items())
            others = f", and {(taken[device] - one.needed) / _MEGA:.0f} MB go there beside it"
            raise Refused(
                f"{one.what} needs about {one.needed / _MEGA:.0f} MB in {one.folder} ({parts}), and"
                f" {there / _MEGA:.0f} MB are free there{others if taken[device] > one.needed else ''}.",
                one.next_step,
            )


def images(engine: Engine, names: Iterable[str]) -> int:
    """Bytes of `docker image save`: a layer that several share counts once."""
    layers: dict[tuple[str, str, str], int] = {}
    for name in sorted(set(names)):
        for line in engine.ask(commands.history(name)).splitlines():
            one = json.loads(line)
            layers[one["CreatedAt"], one["CreatedBy"], one["Size"]] = int(one["Size"])
    return sum(layers.values())


def volume(deployment: Deployment, service: str, path: str) -> int:
    """Bytes that lie under a path of a service that runs; 0 where it cannot say."""
    for one in deployment.serving(service):
        said = deployment.engine.run(commands.execute(one.id, ["du", "-sk", path]), seconds=600)
        first = said.out.split()[:1]
        if first and first[0].isdigit():
            return int(first[0]) * _KILO
    return 0


def database(deployment: Deployment) -> int:
    """Bytes of the database as it lies on the disk; its dump is smaller."""
    return int(deployment.sql("SELECT pg_database_size(current_database())"))
