"""What a schema is brought back to: that of a backup or of a release, opened in a scratch server and believed there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.database.backup.manifest import ID
from rollback.database.backup.opened import restored
from rollback.database.expectation import with_roles
from rollback.database.schema import recorded
from rollback.database.schema.rehearsal import of_its_own, schema_of
from rollback.database.scratch import scratch
from rollback.outcome import Refused
from rollback.parts import files
from rollback.release import LAST_GOOD, SCHEMA, Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.schema.recorded import Recorded
    from rollback.database.server import Connection, Server
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["ELSE", "RECORDED", "Target", "opened", "scratched"]

LATEST = "latest"
#: The database of a recorded schema in a scratch server.
RECORDED = "rollback_recorded"
#: The way that is left where a schema cannot be brought back in place.
ELSE = "`rollback database` brings schema and rows of a backup back together"


@dataclass(frozen=True)
class Target:
    """The schema to go back to, in a database of a scratch server.

    Attributes:
        server: the scratch server.
        database: its name there.
        known: as which it is told.
        has_rows: whether the rows of then are there too.
        digest: of its fingerprint.
        history: the rows of its history of migrations.
    """

    server: Server
    database: str
    known: str
    has_rows: bool
    digest: str
    history: dict[str, str]


@contextmanager
def opened(deployment: Deployment, target: str, now: Recorded, live: Server) -> Iterator[Target]:
    """The schema of a backup or of a release in a scratch server, believed.

    Args:
        deployment: the live system.
        target: id of a backup, `latest`, a release, or `last-good`.
        now: the live schema.
        live: the live server.

    Raises:
        Refused: it is unknown, not to be believed, or was recorded without a schema.
    """
    if target == LATEST or ID.fullmatch(target):
        with restored(deployment, target) as (one, manifest), one.connect(manifest.database, autocommit=True) as then:
            history = dict(recorded.history_rows(then, deployment.settings.database.history))
            yield Target(one, manifest.database, manifest.id, True, schema_of(then).digest, history)  # noqa: FBT003
        return
    release = _release(deployment, target, now)
    kept = _kept(release)
    with scratched(deployment, live, kept) as (one, _session):
        yield Target(one, RECORDED, release.version, False, kept.digest, kept.history)  # noqa: FBT003


def _release(deployment: Deployment, target: str, now: Recorded) -> Release:
    """The release, by its name or as the last good one whose schema differs."""
    shelf = Shelf(deployment)
    if target != LAST_GOOD:
        return shelf.good(target)
    return shelf.last_good(lambda one: one.schema is not None and one.schema.digest != now.digest)


def _kept(release: Release) -> Recorded:
    """The schema of a release, as it was written.

    Raises:
        Refused: it was recorded without one, or the file is not what was written.
    """
    path = release.folder / SCHEMA
    if release.schema is None:
        raise Refused(
            f"{release.version} was recorded without its schema, by a version that kept none.",
            "name a backup of that time (`rollback backup list`), or a release that was recorded since",
        )
    if not path.is_file() or files.sha256(path) != release.schema.sha256:
        raise Refused(f"The schema of {release.version} is not what was recorded.", "name a backup of that time")
    return recorded.read(path)


@contextmanager
def scratched(deployment: Deployment, live: Server, kept: Recorded) -> Iterator[tuple[Server, Connection]]:
    """A recorded schema in a scratch server of its own.

    Raises:
        Refused: what is made there is not what was recorded.
    """
    with scratch(deployment.engine, live.image, user=live.user) as one:
        with one.connect("postgres", autocommit=True) as admin:
            with_roles(admin, kept.roles)
        with of_its_own(one, RECORDED, kept.dump) as session:
            if schema_of(session).digest != kept.digest:
                raise Refused("The recorded schema does not come out as it was recorded.", ELSE)
            yield one, session
