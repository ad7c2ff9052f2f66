"""Can a release work with the schema that is there now?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.release import Release

__all__ = ["check"]


def check(release: Release, applied: list[str]) -> str:
    """Say that the release can work with the applied migrations.

    Args:
        release: the target; it states the heads it works with.
        applied: the applied migrations, oldest first.

    Raises:
        Refused: naming the migrations that stand between.
    """
    head = applied[-1] if applied else ""
    if head in release.works_with:
        return f"{release.version} states that it works with migration {head}"
    between = [one for one in applied if one not in release.migrations]
    missing = [one for one in release.migrations if one not in applied]
    if between:
        what = f"migrations stand between: {', '.join(between)}"
        way = "take them back first (newest first), or restore the database from before them"
    else:
        what = f"migrations are missing: {', '.join(missing) or release.migration_head}"
        way = "apply them first, or choose an older release"
    raise Refused(
        f"{release.version} works with migration {', '.join(release.works_with)}; the database is at {head}; {what}.",
        way,
    )
