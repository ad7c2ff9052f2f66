"""Whether the rows of the database are plausible: held against backups that can be believed.

The last one may be younger than the damage, so an older one is asked as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue
from rollback.verification.database import asked
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rollback.database.backup.manifest import Manifest
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["compared", "implausible", "rows"]

#: Fewer rows than these come and go: nothing follows from their share.
FEW = 10
#: So much older than the last backup is the other one, if there is such a one: damage is noticed within it.
APART = timedelta(days=1)

_ROWS = r"""
    SELECT format('SELECT json_build_array(%L, count(*)) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname,
                  c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')
    AND c.relpersistence <> 't' AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1 \gexec"""


def rows(deployment: Deployment) -> Seen:
    """No table is missing, empty, or has lost more than [verify] rows_lost_percent of its rows.

    Held against the last backup and an older one of the same migrations; of a table the greater count is what it had.
    What was lost before the older one is not seen: the sentence names both, and a backup's name is its time.

    Raises:
        NotTested: there is no backup that can be believed.
    """
    backups = compared(list(_believed(deployment)), deployment.migrations())
    if not backups:
        raise NotTested("there is no backup to compare the rows with", "`rollback backup take`")
    now = {str(name): int(count) for name, count in asked(deployment, _ROWS)}
    then: dict[str, int] = {}
    for one in backups:
        then |= {name: max(count, then.get(name, 0)) for name, count in _counts(one).items()}
    wrong = implausible(then, now, deployment.settings.verify.rows_lost_percent)
    told = [f"{sum(now.values())} rows", *(f"{sum(_counts(one).values())} in backup {one.id}" for one in backups)]
    total = ", ".join(told)
    return not wrong, f"{'; '.join(wrong)} ({total})" if wrong else total


def compared(backups: Sequence[Manifest], applied: Sequence[str]) -> list[Manifest]:
    """The last backup, and an older one: the last that is a day older, or else the oldest; newest first.

    Args:
        backups: newest first.
        applied: migrations; an older backup of others is none to compare with, for they change tables and rows.
    """
    older = [one for one in backups[1:] if one.state.migrations == applied]
    yesterday = (one for one in older if backups[0].at - one.at >= APART)
    return [*backups[:1], *([next(yesterday, older[-1])] if older else [])]


def _counts(backup: Manifest) -> dict[str, int]:
    return {name: one.count for name, one in backup.state.tables.items() if not name.startswith("pg_")}


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


def _believed(deployment: Deployment) -> Iterator[Manifest]:
    """Newest first; what cannot be believed `rollback backup list` tells, and another one is to compare with."""
    for one in reversed(Desk.of(deployment).shelf.all()):
        try:
            yield one.manifest()
        except Untrue:
            continue
