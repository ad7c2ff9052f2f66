"""What a recovery finds before it begins: the archive that it may believe, and what is left of the deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback import progress
from rollback.archive import room
from rollback.archive.shelf import FullShelf
from rollback.containment.revocation import nothing_older
from rollback.database.backup.desk import Desk
from rollback.documents.verification import verify
from rollback.outcome import NothingToDo, Refused, Stop
from rollback.recovery.ground import KEPT, known_as
from rollback.recovery.room import places
from rollback.recovery.services import order
from rollback.recovery.wanted import fill_of

if TYPE_CHECKING:
    from rollback.archive.manifest import Archive
    from rollback.deployment import Deployment
    from rollback.recovery.wanted import Wanted

__all__ = ["survey"]


def survey(deployment: Deployment, name: str | None, run: str, wanted: Wanted) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Args:
        deployment: what is left of it.
        name: file or id of an archive; None: the newest that is proven.
        run: id of the run.
        wanted: what goes back to the archive beside what is gone.

    Raises:
        UsageError: the archive has no such volume.
        Refused: no archive can be believed, it is another project's, there is no room for what it holds, or it would
            bring back what was revoked.
        NothingToDo: everything runs and is healthy.
    """
    read = _Counter()
    with progress.watched(read.told):
        chosen = FullShelf(deployment, Desk.of(deployment).journal).choose(name, read)
    archive = chosen.manifest
    _same_project(deployment, archive)
    nothing_older(deployment, f"The archive {archive.id}", archive.at)
    here = known_as(deployment, archive.project)
    names = here.image_ids({one for image in archive.images for one in image.names})
    fill, unseen = fill_of(here, archive, wanted, next(filter(None, names.values()), ""))
    lost = [one for one in archive.volumes if one.monitoring and one.key in fill]
    if not (wanted.everything or wanted.volumes or lost):
        _something_to_do(here)
    application = KEPT if not wanted.everything and _application_whole(here) else "archive"
    services = [one.service for one in archive.images]
    load = application != KEPT and any(names[name] != one.id for one in archive.images for name in one.names)
    room.enough(places(here, archive, fill, load=load))
    return {
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "file": str(chosen.full.path),
        "archive": archive.id,
        "taken": archive.at.isoformat(timespec="seconds"),
        "project": archive.project,
        "application": application,
        "everything": wanted.everything,
        "releases": archive.releases,
        "skipped": chosen.skipped,
        "notes": [*chosen.notes, *unseen],
        "services": order(here.settings, _services(here) if application == KEPT else services),
        "left": [
            {"id": one.id, "name": one.name, "service": "" if one.one_off else one.service, "running": one.running}
            for one in here.containers()
        ],
        "names": names,
        "fill": fill,
        "kept": {one.key: one.service for one in archive.volumes if one.key not in fill},
    }


class _Counter:
    """How much of the archives was read."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, count: int) -> None:
        self.read += count

    def told(self) -> str:
        return f"{self.read / 1e6:.0f} MB of the archives read and hashed"


def _same_project(deployment: Deployment, archive: Archive) -> None:
    """The checkout's own name, where it can still be read, is the archive's."""
    try:
        ours = str(deployment.config(deployment.compose)["name"])
    except Refused:
        return
    if ours != archive.project:
        raise Refused(
            f"The archive is of the project {archive.project}; this checkout is of {ours}.",
            "name an archive of this one, or go to the other checkout (-C)",
        )


def _something_to_do(deployment: Deployment) -> None:
    try:
        ill = [one for one in verify(deployment, None) if not one.ok and one.check != "errors"]
    except Stop:
        return
    if not ill:
        raise NothingToDo(
            "Everything runs, is healthy and answers. To put it back as it was, use the procedure for what is wrong;"
            " --everything puts all of it back as the archive has it, --volume KEY one volume."
        )


def _application_whole(deployment: Deployment) -> bool:
    """Compose can read the files, and every image that they name is here."""
    try:
        model = deployment.config(deployment.compose)
    except Refused:
        return False
    images = deployment.image_ids({deployment.image_name(model, one) for one in model["services"]})
    return None not in images.values()


def _services(deployment: Deployment) -> list[str]:
    return list(deployment.config(deployment.compose)["services"])
