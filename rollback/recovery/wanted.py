"""Which volumes a recovery fills: those that are gone or empty, and those for which somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.outcome import Refused, UsageError
from rollback.parts.volumes import Volumes
from rollback.recovery.contents import ASKED, EMPTY, GONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rollback.archive.manifest import Archive, Volume
    from rollback.deployment import Deployment

__all__ = ["Wanted", "fill_of"]


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for beside what is gone.

    Attributes:
        everything: what is sound goes back to the archive as well.
        monitoring: so do the volumes of the monitoring stack, where they are gone or everything goes back.
        volumes: keys of volumes that go back as well.
    """

    everything: bool = False
    monitoring: bool = False
    volumes: Sequence[str] = ()


def fill_of(deployment: Deployment, archive: Archive, wanted: Wanted, image: str) -> tuple[dict[str, str], list[str]]:
    """The volumes that come back from the archive with the reason, by key; and what could not be found out.

    Args:
        deployment: what is left of it.
        archive: from which it is rebuilt.
        wanted: what goes back although it is there.
        image: through which volumes are looked into; empty where none is left.
    """
    asked = [one for one in archive.volumes if wanted.monitoring or not one.monitoring or one.key in wanted.volumes]
    if unknown := set(wanted.volumes) - {one.key for one in asked}:
        there = ", ".join(one.key for one in archive.volumes) or "none"
        raise UsageError(f"The archive has no volume {', '.join(sorted(unknown))}.", f"it has {there}")
    volumes = Volumes(deployment, image)
    found = {one.key: _why(volumes, one, asked=wanted.everything or one.key in wanted.volumes) for one in asked}
    for one in asked:
        if found[one.key] == ASKED:
            _ours(deployment, one.name)
    unseen = [f"no image is left to look into {one.name}: it stays as it is" for one in asked if found[one.key] is None]
    return {key: why for key, why in found.items() if why}, unseen


def _why(volumes: Volumes, one: Volume, *, asked: bool) -> str | None:
    """Why a volume comes back; empty: it does not, None: it cannot be looked into."""
    if not volumes.there(one.name):
        return GONE
    if asked:
        return ASKED
    if not volumes.image:
        return None
    return EMPTY if volumes.empty(one.name) else ""


def _ours(deployment: Deployment, volume: str) -> None:
    """Nothing that somebody else works with is taken from under him."""
    using = set(deployment.engine.ask(commands.containers(f"volume={volume}")).split())
    if using - {one.id for one in deployment.containers()}:
        raise Refused(
            f"{volume} is used by a container of another project.",
            "stop and remove that one first, as `docker compose down` of the monitoring stack does",
        )
