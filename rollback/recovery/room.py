"""Whether a recovery has room, where the engine keeps its data and in the checkout: told before anything is changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import commands
from rollback.archive import room
from rollback.archive.manifest import BACKUP, IMAGES
from rollback.database.backup.uploads import TAR
from rollback.outcome import Refused
from rollback.parts.volumes import Volumes, mounted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.archive.manifest import Archive
    from rollback.deployment import Deployment
    from rollback.parts.volumes import Mounted

__all__ = ["places"]

#: The engine unpacks images beside the place in which they end up.
_UNPACKED = 2
#: What is restored is larger than its compressed dump, and indices and the log of the restore come on top.
_RESTORED = 5
_KILO = 1024
_NEXT = "make room there; only images and volumes that nobody needs may go, and what was set aside is evidence"


def places(deployment: Deployment, archive: Archive, fill: Collection[str], *, load: bool) -> Iterator[room.Place]:
    """What a recovery writes, and where; nothing of the engine's where its disk is not this host's.

    Args:
        deployment: what is left of it.
        archive: from which it is rebuilt.
        fill: keys of the volumes that come back from the archive.
        load: whether images do.
    """
    backup = [one for name, one in archive.members.items() if name.startswith(BACKUP)]
    opened = sum(one.size + one.content_size for one in backup)
    yield room.Place("The recovery", deployment.state, {"backup, opened": opened}, _NEXT)
    folder = _engines_own(deployment)
    if folder is not None:
        yield room.Place("The recovery", folder, _parts(deployment, archive, fill, load=load), _NEXT)


def _parts(deployment: Deployment, archive: Archive, fill: Collection[str], *, load: bool) -> dict[str, int]:
    members, there = archive.members, _there(deployment)
    dump = sum(one.content_size for name, one in members.items() if name.startswith(f"{BACKUP}dump/"))
    uploads = sum(one.content_size for name, one in members.items() if name.startswith(f"{BACKUP}{TAR}"))
    volumes = sum(members[one.member].content_size for one in archive.volumes if one.key in fill)
    copies = [one for one in archive.volumes if one.key in fill and Volumes(deployment, "").there(one.name)]
    left = sum(_size(deployment, one.name) for one in there if one.service == deployment.settings.database.service)
    kept = any(one.service == deployment.settings.backup.uploads.service for one in there)
    found = {
        "images": members[IMAGES].content_size * _UNPACKED if load else 0,
        "volumes": volumes + (0 if kept else uploads),
        "copy of the database that is left": left,
        "copies of other volumes that are left": sum(_size(deployment, one.name) for one in copies),
        "database": max(0, dump * _RESTORED - left),
    }
    return {name: size for name, size in found.items() if size}


def _there(deployment: Deployment) -> list[Mounted]:
    """The volumes that are left, as far as the Compose files can still be read."""
    try:
        model = deployment.config(deployment.compose)
    except Refused:
        return []
    volumes = Volumes(deployment, "")
    return [one for one in mounted(model) if volumes.there(one.name)]


def _size(deployment: Deployment, name: str) -> int:
    """Bytes of a volume as it lies there; 0 where it cannot be looked at."""
    said = deployment.engine.run(["du", "-sk", Volumes(deployment, "").place(name)], seconds=600).out.split()[:1]
    return int(said[0]) * _KILO if said and said[0].isdigit() else 0


def _engines_own(deployment: Deployment) -> Path | None:
    """Where the engine keeps images and volumes, if that is a folder of this host."""
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return None
    said = deployment.engine.ask(commands.engine_info())
    folder = Path(str(json.loads(said).get("DockerRootDir") or "-"))
    return folder if folder.is_absolute() and folder.is_dir() else None
