"""Whether the database has the schema that was recorded for the migrations that are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.database import compatibility, server
from rollback.database.schema import dump, recorded
from rollback.database.schema.rehearsal import schema_of
from rollback.release import SCHEMA, Shelf
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release
    from rollback.verification.line import Seen

__all__ = ["schema"]

_MOST = 8


def schema(deployment: Deployment, release: Release) -> Seen:
    """The database has the schema that was recorded at its migrations, and the release states that it works with them.

    At other migrations than the release's own it is held against another release that was recorded at just those: that
    a history of migrations says so is no proof that the tables are so.

    Raises:
        Refused: it is at a migration that the release does not work with.
        NotTested: nobody has recorded a schema at these migrations.
    """
    applied = deployment.migrations()
    stated = "" if applied == release.migrations else f"; {compatibility.check(release, applied)}"
    known = _recorded_at(deployment, release, applied)
    name = deployment.settings.database.name
    with server.of_deployment(deployment) as one, one.connect(name, autocommit=True) as session:
        if known.schema and schema_of(session).digest == known.schema.digest:
            return True, f"as recorded in {known.version}, migration {known.migration_head}{stated}"
        now = dump.text(one, name)
    then = recorded.read(known.folder / SCHEMA).dump
    return False, f"not as recorded in {known.version}: {_differences(then, now)}{stated}"


def _recorded_at(deployment: Deployment, release: Release, applied: list[str]) -> Release:
    """The release itself, or the newest other one, that was recorded with a schema at these very migrations."""
    for one in (release, *reversed(Shelf(deployment).all())):
        if one.schema is not None and one.migrations == applied:
            return one
    at = applied[-1] if applied else "none"
    raise NotTested(
        f"no release was recorded with its schema at migration {at}: nobody knows what it has to be",
        "`rollback release record VERSION` once it is known to be right",
    )


def _differences(then: str, now: str) -> str:
    """Which entries of the two dumps differ; what no dump holds (an index that is invalid) is in neither."""
    before, after = ({one.key: one.sql for one in dump.entries(text)} for text in (then, now))
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    names = [f"{kind.lower()} {name}" for kind, _, name in keys]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more or "something that a dump does not tell, such as an invalid index"
