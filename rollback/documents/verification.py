"""The part of the checklist that takes no time: what every rollback proves before it is done (RUNBOOK, Verification).

`rollback verify` reads all of it; see rollback.verification.checklist.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from rollback import look
from rollback.verification import database, drift, line, logs, page, services
from rollback.verification.line import Line
from rollback.verification.logs import MAX_ERRORS
from rollback.verification.services import identities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment
    from rollback.release import Release
    from rollback.verification.line import Check

__all__ = ["MAX_ERRORS", "Line", "identities", "verify"]


def verify(deployment: Deployment, release: Release | None, *, since: str | None = None) -> list[Line]:
    """Read these lines; it never stops at the first failure.

    Args:
        deployment: the live system.
        release: what should be running; None when only soundness is asked for.
        since: UTC time from which error lines in the logs count; None counts the last lines.
    """
    with look.shared():
        return line.read(_checks(deployment, release, datetime.fromisoformat(since) if since else None))


def _checks(deployment: Deployment, release: Release | None, since: datetime | None) -> Iterator[Check]:
    yield "services", partial(services.services, deployment)
    yield "database", partial(database.database, deployment)
    yield "indexes", partial(database.indexes, deployment)
    yield "constraints", partial(database.constraints, deployment)
    yield "api", partial(services.health, deployment)
    yield "frontend", partial(page.frontend, deployment)
    yield "errors", partial(logs.errors, deployment, since)
    if release is not None:
        yield "identity", partial(drift.identity, deployment, release)
        yield "images", partial(drift.images, deployment, release)
        for group in ("environment", "compose"):
            if release.files[group]:
                yield group, partial(drift.part, deployment, release, group)
