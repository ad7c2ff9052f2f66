"""A backup from which rows are taken: what was revoked after a breach is revoked there too and comes not back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollback.containment.revocation import again
from rollback.database.backup.opened import restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server
    from rollback.deployment import Deployment

__all__ = ["believed"]


@contextmanager
def believed(deployment: Deployment, backup: str) -> Iterator[tuple[Server, Manifest]]:
    """The backup in a scratch PostgreSQL; see `restored`."""
    with restored(deployment, backup) as (then, manifest):
        with then.connect(manifest.database, autocommit=True) as session:
            again(deployment, session, manifest.at)
        yield then, manifest
