"""Can a release work with the schema that is there now?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["check", "dependent"]


def check(release: Release, applied: list[str]) -> str:
    """Say that the release can work with the applied migrations: all of them, not their head alone.

    Args:
        release: the target; it states the heads it works with.
        applied: the applied migrations, oldest first.

    Raises:
        Refused: naming the migrations that stand between.
    """
    head = applied[-1] if applied else ""
    known = {*release.migrations, *release.works_with}
    between = [one for one in applied if one not in known]
    missing = [one for one in release.migrations if one not in applied]
    gap = [one for one in missing if one < head]
    if head in release.works_with and not between and not gap:
        return f"{release.version} states that it works with migration {head}"
    raise Refused(
        f"{release.version} works with migration {', '.join(release.works_with)}; the database is at {head or 'none'};"
        f" {_what(between, missing)}.",
        "take them back first (newest first), or restore the database from before them"
        if between
        else "apply them first, or choose an older release",
    )


def _what(between: list[str], missing: list[str]) -> str:
    if between:
        return f"migrations stand between: {', '.join(between)}"
    return f"migrations are missing: {', '.join(missing)}"


def dependent(deployment: Deployment, head: str) -> str:
    """Why what runs cannot work with a database at this migration, by its own word; empty where it can."""
    for service in deployment.settings.services.values():
        stated = deployment.through_edge(service.version).stated if service.upstream else None
        if stated and head not in stated:
            return f"what runs works with migration {', '.join(stated)}, and the database will be at {head or 'none'}"
    return ""
