"""What a full restoration finds before it may begin: every gate, and the facts that its plan is made from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from rollback.database import compatibility, room, server
from rollback.database.backup.desk import Desk
from rollback.database.contents import contents
from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.database.backup.manifest import Manifest
    from rollback.deployment import Deployment

__all__ = ["survey"]


def survey(  # noqa: PLR0913 -- the words of the command
    deployment: Deployment,
    name: str,
    run: str,
    *,
    stale: bool = False,
    outage: bool = False,
    read_only: bool = False,
) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Args:
        deployment: the live system.
        name: id of a backup, or `latest`.
        run: id of the run.
        stale: although the backup is older than max_age_hours.
        outage: although what runs cannot work with the migrations of the backup.
        read_only: nobody writes from the beginning of the restore on.

    Raises:
        Unproven: the backup does not hold on a rung below a restore.
        Refused: it is of another database, too old, or of migrations that what runs cannot work with.
    """
    desk = Desk.of(deployment)
    with desk.opened(name) as (manifest, _folder):
        table = deployment.settings
        if manifest.database != table.database.name:
            raise Refused(
                f"Backup {manifest.id} is of the database `{manifest.database}`, here it is `{table.database.name}`.",
                "choose a backup of this one (`rollback backup list`)",
            )
        age = (datetime.now(UTC) - manifest.at).total_seconds() / 3600
        if age > table.backup.max_age_hours and not stale:
            raise Refused(
                f"Backup {manifest.id} is {age:.1f} h old; [backup] max_age_hours is {table.backup.max_age_hours:g}.",
                "choose a younger one, or say --stale if all later work may go",
            )
        with server.of_deployment(deployment) as live:
            room.enough(live, table.database.name)
        fit = compatibility.fit(deployment, manifest.head)
        if fit.dependent and not outage:
            raise Refused(
                f"{fit.dependent}.",
                "choose a backup of that schema, or say --outage and then `rollback application` to a release that"
                " works with it",
            )
        return {
            "run": run,
            "backup": manifest.id,
            "head": manifest.head,
            "taken": manifest.at.isoformat(timespec="seconds"),
            **asdict(fit),
            "read_only": read_only,
            "seen": _differing(deployment, manifest),
            "seconds": _took(desk, manifest.id),
        }


def _differing(deployment: Deployment, manifest: Manifest) -> list[str]:
    """The tables whose rows are not those of the backup, as far as the live database can be read."""
    try:
        with server.of_deployment(deployment) as live, live.connect(deployment.settings.database.name) as session:
            now = contents(session)
    except psycopg.DatabaseError as error:
        return [f"the live database cannot be read whole: {error.diag.message_primary or error}"]
    then = manifest.state.tables
    return [
        f"{name}: {now[name].count if name in now else 'no'} rows now, "
        f"{then[name].count if name in then else 'no table'} in the backup"
        for name in sorted(now.keys() | (then.keys() - {"pg_catalog.pg_largeobject"}))
        if name not in now or name not in then or now[name].hash != then[name].hash
    ]


def _took(desk: Desk, backup: str) -> float | None:
    said = desk.shelf.get(backup).verification() or {}
    return float(said["seconds"]) if said.get("proven") and "seconds" in said else None
