"""Recording a release: only what is seen to work is kept as something to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback import look
from rollback.database import compatibility, server
from rollback.database.schema.recorded import taken
from rollback.documents.verification import identities, verify
from rollback.outcome import Refused, Stop
from rollback.parts.rebuild import Rebuild
from rollback.release import Shelf

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.documents.verification import Line
    from rollback.journal import Journal
    from rollback.release import Release

__all__ = ["readiness", "record", "sound"]


def record(deployment: Deployment, journal: Journal, version: str) -> Release:
    """Record what runs; the caller holds the lock and has seen that it is sound."""
    table = deployment.settings.database
    with server.of_deployment(deployment) as one:
        schema = taken(one, table.name, table.history)
    release = Shelf(deployment).record(version, identities(deployment), _works_with(deployment), schema)
    journal.append("-", "release", version=version, images={role: one.id for role, one in release.images.items()})
    return release


def sound(deployment: Deployment, journal: Journal, version: str) -> list[Line]:
    """The checklist of what runs, when it may be recorded under this name; nothing is changed.

    Raises:
        Refused: a run is open, a check of the verification fails, a service does not say its version, or the
            version is taken.
    """
    Shelf(deployment).free(version)
    if journal.unfinished() is not None:
        raise Refused(
            "A run is interrupted: what runs now is nothing to record.", "`rollback resume` or `rollback abort`"
        )
    with look.shared():
        return _sound(deployment)


def _sound(deployment: Deployment) -> list[Line]:
    lines = verify(deployment, None)
    bad = [f"{line.check}: {line.seen}" for line in lines if not line.ok]
    if bad:
        raise Refused(f"What runs is not sound and is not recorded. {'; '.join(bad)}.", "mend it and record again")
    silent = [role for role, identity in identities(deployment).items() if not identity]
    if silent:
        raise Refused(f"{', '.join(silent)} do not say their version.", "see `version` in rollback.toml")
    return lines


def _works_with(deployment: Deployment) -> list[str]:
    """The migration heads that a service states beside its version; empty when none does."""
    for service in deployment.settings.services.values():
        stated = deployment.through_edge(service.version).stated if service.upstream else []
        if stated:
            return stated
    return []


def readiness(deployment: Deployment, release: Release) -> str | None:
    """What would hinder a rollback to this release now; None when nothing is seen."""
    try:
        Shelf(deployment).good(release.version)
        Rebuild(deployment, release.version).possible()
        compatibility.check(release, deployment.migrations())
    except Stop as stop:
        return stop.found
    return None
