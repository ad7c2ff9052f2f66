"""Whether the rows of the database are plausible: held against the last backup that can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue
from rollback.verification.database import asked
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollback.database.backup.manifest import Manifest
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["implausible", "rows"]

#: Fewer rows than these come and go: nothing follows from their share.
FEW = 10

_ROWS = r"""
    SELECT format('SELECT json_build_array(%L, count(*)) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname,
                  c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')
    AND c.relpersistence <> 't' AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1 \gexec"""


def rows(deployment: Deployment) -> Seen:
    """No table of the last backup is missing, empty, or has lost more than [verify] rows_lost_percent of its rows.

    Raises:
        NotTested: there is no backup that can be believed.
    """
    before = _last_backup(deployment)
    now = {str(name): int(count) for name, count in asked(deployment, _ROWS)}
    then = {name: one.count for name, one in before.state.tables.items() if not name.startswith("pg_")}
    wrong = implausible(then, now, deployment.settings.verify.rows_lost_percent)
    total = f"{sum(now.values())} rows, {sum(then.values())} in backup {before.id}"
    return not wrong, f"{'; '.join(wrong)} ({total})" if wrong else total


def implausible(before: Mapping[str, int], now: Mapping[str, int], percent: float) -> list[str]:
    """Tables whose count of rows nobody would believe, a sentence each; that there are more is no wonder."""
    told = []
    for name, count in before.items():
        left = now.get(name)
        if left is None:
            told.append(f"{name} is not there, it had {count} rows")
        elif count and not left:
            told.append(f"{name} is empty, it had {count} rows")
        elif count - left >= FEW and (count - left) * 100 > count * percent:
            told.append(f"{name} has {left} rows, it had {count}")
    return told


def _last_backup(deployment: Deployment) -> Manifest:
    for one in reversed(Desk.of(deployment).shelf.all()):
        try:
            return one.manifest()
        except Untrue:  # `rollback backup list` says so; an older one is something to compare with
            continue
    raise NotTested("there is no backup to compare the rows with", "`rollback backup take`")
