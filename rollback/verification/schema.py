"""Whether the database has the schema that a release was recorded with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.database import compatibility, server
from rollback.database.schema import dump, recorded
from rollback.database.schema.rehearsal import schema_of
from rollback.release import SCHEMA
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release
    from rollback.verification.line import Seen

__all__ = ["schema"]

_MOST = 8


def schema(deployment: Deployment, release: Release) -> Seen:
    """The database has the recorded schema; at another migration, one that the release states it can work with.

    Raises:
        Refused: it is at a migration that the release does not work with.
        NotTested: the release was recorded without a schema.
    """
    if deployment.migrations() != release.migrations:
        return True, compatibility.check(release, deployment.migrations())
    if release.schema is None:
        raise NotTested(f"{release.version} was recorded without a schema", "record the next release anew")
    name = deployment.settings.database.name
    with server.of_deployment(deployment) as one, one.connect(name, autocommit=True) as session:
        if schema_of(session).digest == release.schema.digest:
            return True, f"as recorded in {release.version}, migration {release.migration_head}"
        now = dump.text(one, name)
    return False, f"not as recorded: {_differences(recorded.read(release.folder / SCHEMA).dump, now)}"


def _differences(then: str, now: str) -> str:
    """Which entries of the two dumps differ; what no dump holds (an index that is invalid) is in neither."""
    before, after = ({one.key: one.sql for one in dump.entries(text)} for text in (then, now))
    keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    names = [f"{kind.lower()} {name}" for kind, _, name in keys]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more or "something that a dump does not tell, such as an invalid index"
