"""The checklist's line of the rows: with which backups what is there is compared."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rollback.verification import rows
from rollback.verification.line import NotTested


def manifest(at: str, migration: str = "012", **counts: int) -> Any:
    """A backup that can be believed, taken on a day and hour of January."""
    tables = {f"public.{name}": SimpleNamespace(count=count) for name, count in counts.items()}
    state = SimpleNamespace(migrations=[migration], tables=tables)
    return SimpleNamespace(id=at, at=datetime.strptime(at, "%dT%H").replace(tzinfo=UTC), state=state)


NEWEST = manifest("09T12", t=50)


@pytest.mark.parametrize(
    ("older", "wanted"),
    [
        ([], []),
        ([manifest("09T11"), manifest("09T02")], ["09T02"]),
        ([manifest("09T02"), manifest("08T12"), manifest("08T02")], ["08T12"]),
        ([manifest("09T11", "011"), manifest("08T02", "011")], []),
        ([manifest("09T11"), manifest("08T02", "011")], ["09T11"]),
    ],
    ids=["alone", "of one day", "of several days", "other migrations", "other migrations before"],
)
def test_rows_are_held_against_an_older_backup_as_well(older: list[Any], wanted: list[str]) -> None:
    """One that is a day older, or the oldest: the last one may be younger than the damage."""
    assert [one.id for one in rows.compared([NEWEST, *older], ["012"])] == [NEWEST.id, *wanted]
    assert rows.compared([], ["012"]) == []


def test_what_was_lost_before_the_last_backup_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a table and the whole of another were gone when it was taken, and it says nothing of that."""
    table = SimpleNamespace(verify=SimpleNamespace(rows_lost_percent=20))
    there: Any = SimpleNamespace(migrations=lambda: ["012"], settings=table)
    backups = [NEWEST, manifest("08T02", t=100, gone=7)]
    monkeypatch.setattr(rows, "_believed", lambda _: backups)
    monkeypatch.setattr(rows, "asked", lambda *_: [["public.t", 50]])
    wrong = "public.t has 50 rows, it had 100; public.gone is not there, it had 7 rows"
    total = "50 rows, 50 in backup 09T12, 107 in backup 08T02"
    assert rows.rows(there) == (False, f"{wrong} ({total})")
    backups.pop()
    assert rows.rows(there) == (True, "50 rows, 50 in backup 09T12")
    backups.pop()
    with pytest.raises(NotTested, match="no backup to compare"):
        rows.rows(there)
