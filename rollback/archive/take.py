"""Taking a full backup: the database first, proven; then everything else beside it, while users work."""

from __future__ import annotations

import io
import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rollback import __version__, commands
from rollback.archive.container import Writer
from rollback.archive.manifest import BACKUP, FILES, IMAGES, KEY, RECORDS, Archive, Image, Volume
from rollback.archive.shelf import PART, Full
from rollback.containment import revocation
from rollback.containment.keyring import REVOKED
from rollback.database.backup import seal
from rollback.database.backup.manifest import NAME, new_id
from rollback.database.backup.shelf import sync_folder
from rollback.database.backup.signing import digest
from rollback.outcome import Failed, Refused
from rollback.parts import files
from rollback.parts.volumes import Volumes, mounted
from rollback.release import Shelf, groups
from rollback.settings import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.archive.shelf import FullShelf
    from rollback.database.backup.shelf import Backup
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Order", "Seen", "assemble", "look"]

#: Groups of files beside those of a release.
SETTINGS, RELEASES = "deployment", "releases"
#: So often a volume is read until no file in it comes or goes meanwhile.
_TRIES = 3


@dataclass(frozen=True)
class Order:
    """What goes in.

    Attributes:
        backup: of the database, proven where that is possible.
        encrypt: whether members are sealed to the `recipients` of rollback.toml.
        monitoring: whether the volumes of the monitoring stack go in as well.
        told: hears of every byte that was written.
    """

    backup: Backup
    encrypt: bool
    monitoring: bool
    told: Callable[[int], None]


@dataclass(frozen=True)
class Seen:
    """What runs: it must be the same before and after, or the parts would not fit together."""

    images: tuple[Image, ...]
    releases: tuple[Release, ...]
    files: dict[str, list[files.FileRecord]]

    @property
    def comparable(self) -> object:
        """What must not change meanwhile."""
        return self.images, self.files


def look(deployment: Deployment, store: Path) -> Seen:
    """Read what runs, and copy the files of the checkout.

    Raises:
        Refused: a service's image name leads to another image than the one that runs.
    """
    releases = Shelf(deployment).all()
    images = _images(deployment, releases)
    running = {one.service: one.id for one in images}
    fitting = [one for one in releases if all(running.get(i.service) == i.id for i in one.images.values())]
    state = deployment.settings.deployment.state
    # what was revoked after a breach is known after a complete failure too
    known = [f"{state}/{one}" for one in ("releases", revocation.FILE, REVOKED)]
    named = groups(deployment) | {SETTINGS: _named(deployment), RELEASES: known}
    captured = {name: files.capture(deployment.root, paths, store) for name, paths in named.items()}
    return Seen(tuple(images), tuple(fitting), captured)


def _named(deployment: Deployment) -> list[str]:
    """What else rollback.toml names: without it a checkout that is made anew could not be worked with."""
    table = deployment.settings
    more = [table.certificates.authorities_file, table.migrations.folder, table.migrations.rollbacks]
    return [FILE, *filter(None, more), *(name for one in table.switch.colours.values() for name in one.files)]


def _images(deployment: Deployment, releases: list[Release]) -> list[Image]:
    model = deployment.config(deployment.compose)
    names = {service: deployment.image_name(model, service) for service in model["services"]}
    there = deployment.image_ids(set(names.values()))
    runs = {one.service: one.image for one in deployment.containers() if not one.one_off}
    found = []
    for service, name in sorted(names.items()):
        image = runs.get(service, there[name])
        if image is None or image != there[name]:
            raise Refused(
                f"`{service}` runs {str(image)[:19]}, and its name {name} leads to {str(there[name])[:19]}.",
                "bring up what the Compose files say (`docker compose up -d`), then repeat it",
            )
        kept = {one.kept_as for each in releases for one in each.images.values() if one.id == image}
        found.append(Image(service=service, id=image, names=[name, *sorted(kept)]))
    return found


def assemble(shelf: FullShelf, order: Order, announce: Callable[[Archive, str], None]) -> Full:
    """Write the archive; the file has its name only when it is whole and on the disk.

    Args:
        shelf: where it goes; the caller holds it.
        order: what goes in.
        announce: told the manifest and its SHA-256 just before the file gets its name, for the journal.

    Raises:
        Failed: something could not be read or written, or was changed meanwhile; nothing that looks whole is left.
    """
    archive, started = new_id(datetime.now(UTC)), time.monotonic()
    part = shelf.folder / f"{PART}{archive}"
    with tempfile.TemporaryDirectory(prefix="rollback-") as room:
        before = look(shelf.deployment, Path(room) / "before")
        with _unless_broken(part) as file:
            settings = shelf.deployment.settings.backup
            to = seal.recipients(settings.recipients) if order.encrypt else []
            writer = Writer(file, archive, to, order.told)
            writer.begin(__version__)
            writer.add(KEY, io.BytesIO(shelf.keys.made().public_path.read_bytes()), sealed=False)
            volumes = _written(shelf.deployment, writer, order, before, Path(room) / "before")
            if look(shelf.deployment, Path(room) / "after").comparable != before.comparable:
                raise Failed("The deployment was changed while its full backup was taken.", "take it again")
            found = _manifest(shelf.deployment, order, before, volumes, writer, time.monotonic() - started)
            raw = shelf.keys.sign("full backup", found.model_dump(mode="json"))
            writer.finish(raw)
        announce(found, digest(raw))
        part.rename(shelf.path(archive))
        sync_folder(shelf.folder)
    return Full(shelf.path(archive), shelf.keys)


@contextmanager
def _unless_broken(part: Path) -> Iterator[IO[bytes]]:
    """A private file that is gone if the block fails: gigabytes of half an archive would fill the disk.

    Raises:
        Failed: the disk did not take it.
    """
    try:
        with part.open("xb") as file:
            part.chmod(0o600)
            yield file
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failed(
            f"The full backup could not be written: {error.filename or part.parent}: {error.strerror or error}.",
            "make room there, or name another folder in [recovery] of rollback.toml; nothing half-made was left",
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _written(deployment: Deployment, writer: Writer, order: Order, seen: Seen, store: Path) -> list[Volume]:
    _checkout(writer, seen, store)
    _backup(writer, order.backup)
    wanted = _wanted(deployment, monitoring=order.monitoring)
    volumes = [_volume(deployment, writer, one, seen) for one in wanted]
    names = sorted({name for one in seen.images for name in one.names})
    with deployment.engine.outflow(commands.save_images(names)) as stream:
        writer.add(IMAGES, stream)
    return volumes


def _checkout(writer: Writer, seen: Seen, store: Path) -> None:
    members: dict[str, str] = {}
    for number, one in enumerate(one for group in seen.files.values() for one in group if one.link is None):
        members[one.path] = f"{FILES}{number:06d}"
        with (store / one.path).open("rb") as content:
            writer.add(members[one.path], content)
    told = {"groups": {name: [one.as_json() for one in some] for name, some in seen.files.items()}, "members": members}
    writer.add(RECORDS, io.BytesIO(json.dumps(told, ensure_ascii=False).encode()))


def _backup(writer: Writer, backup: Backup) -> None:
    """As it lies on the shelf: sealed by itself where it is."""
    found = backup.manifest()
    suffix = seal.SUFFIX if found.encrypted else ""
    for name in [NAME, *(f"{one}{suffix}" for one in found.files)]:
        with (backup.folder / name).open("rb") as content:
            writer.add(f"{BACKUP}{name}", content, sealed=False)


def _wanted(deployment: Deployment, *, monitoring: bool) -> Iterator[Volume]:
    """Volumes that the backup of the database does not hold already."""
    uploads, database = deployment.settings.backup.uploads, deployment.settings.database.service
    model = deployment.config(deployment.compose)
    of_database = {one.get("source") for one in model["services"][database].get("volumes") or []}
    for one in mounted(model):
        holds_uploads = one.service == uploads.service and uploads.path.startswith(one.target)
        if one.key not in of_database and not holds_uploads:
            yield _entry(one.key, one.name, one.service, one.target)
    for name in deployment.settings.recovery.monitoring if monitoring else ():
        yield _entry(name, name, "", "", monitoring=True)


def _entry(key: str, name: str, service: str, target: str, *, monitoring: bool = False) -> Volume:
    member = f"volumes/{key}.tar"
    return Volume(key=key, name=name, service=service, target=target, member=member, monitoring=monitoring)


def _volume(deployment: Deployment, writer: Writer, one: Volume, seen: Seen) -> Volume:
    """Streamed while its service writes: what it is then, it would be as well after a power cut.

    That holds for files that grow. Where they come and go meanwhile, as when Redis writes its log anew, it is read once
    more: a list of files that are no longer there would keep the service from its start.

    Raises:
        Failed: they came and went each time.
    """
    image = next(each.id for each in seen.images if each.service == deployment.settings.database.service)
    volumes = Volumes(deployment, image)
    if not volumes.there(one.name):
        raise Refused(f"There is no volume {one.name}.", "see [recovery] monitoring in rollback.toml")
    for _ in range(_TRIES):
        before = None if one.monitoring else volumes.listed(one.name).keys()
        with volumes.out(one.name) as stream:
            writer.add(one.member, stream)
        if before is None or volumes.listed(one.name).keys() == before:
            return one.model_copy(update={"labels": volumes.labels(one.name)})
        writer.withdraw(one.member)
    raise Failed(
        f"Files in the volume {one.name} came and went each of the {_TRIES} times that it was read.",
        f"take it again when `{one.service}` has less to do",
    )


def _manifest(  # noqa: PLR0913, PLR0917 -- all that it says
    deployment: Deployment, order: Order, seen: Seen, volumes: list[Volume], writer: Writer, seconds: float
) -> Archive:
    found, raw = order.backup.manifest(), order.backup.raw()
    stated: list[Any] = [head for one in seen.releases for head in one.works_with]
    return Archive(
        format=1,
        id=writer.archive,
        at=found.at,
        project=deployment.project,
        backup=found.id,
        backup_manifest=digest(raw),
        releases=[one.version for one in seen.releases],
        works_with=sorted({*stated, found.head} - {""}),
        head=found.head,
        images=list(seen.images),
        volumes=volumes,
        sealed=bool(writer.to),
        by=__version__,
        seconds=round(seconds, 3),
        members=writer.members,
    )
