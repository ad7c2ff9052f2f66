"""The checklist's line of the schema: at which record of it what is there is held."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.database import server
from rollback.release import Release, SchemaRecord, Shelf
from rollback.verification import schema as line
from rollback.verification.line import read

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE, AFTER = ["001", "002"], ["001", "002", "003"]


def release(version: str, migrations: list[str], digest: str | None) -> Release:
    """A recorded release that states that it works with 002 and 003."""
    record = SchemaRecord("f" * 64, digest) if digest else None
    return Release(version, "", Path(), {}, {}, migrations[-1], migrations, ["002", "003"], None, None, record)


@contextmanager
def connected(_: object) -> Iterator[Any]:
    """A server that can be asked nothing."""
    yield SimpleNamespace(connect=lambda *_, **__: connected(None))


V1, V1_BARE = release("v1", BEFORE, "old"), release("v1", BEFORE, None)
V2, V2_BARE, V3 = release("v2", AFTER, "new"), release("v2", AFTER, None), release("v3", AFTER, "newer")


@pytest.mark.parametrize(
    ("one", "others", "applied", "told"),
    [
        (V1, [V2], BEFORE, "ok: as recorded in v1, migration 002"),
        (V1, [V2], AFTER, "ok: as recorded in v2, migration 003; v1 states that it works with migration 003"),
        (V1, [V2, V3], AFTER, "no: not as recorded in v3: a table"),
        (V1, [], AFTER, "not tested: no release was recorded with its schema at migration 003"),
        (V1, [V2_BARE], AFTER, "not tested: no release was recorded with its schema at migration 003"),
        (V1_BARE, [], BEFORE, "not tested: no release was recorded with its schema at migration 002"),
        (V1, [V2], ["001"], "no: v1 works with migration 002, 003; the database is at 001"),
    ],
    ids=["its own", "another's", "another's, and other", "nobody's", "bare", "bare itself", "does not work"],
)  # fmt: skip
def test_a_schema_is_held_against_a_record_of_its_own_migrations(
    monkeypatch: pytest.MonkeyPatch, one: Release, others: list[Release], applied: list[str], told: str
) -> None:
    """What a release states of a migration is no proof that the tables are so: without a record nothing is tested."""
    digest = "old" if applied == BEFORE else "new"
    there: Any = SimpleNamespace(
        migrations=lambda: applied, settings=SimpleNamespace(database=SimpleNamespace(name="db"))
    )
    monkeypatch.setattr(Shelf, "all", lambda _: [one, *others])
    monkeypatch.setattr(server, "of_deployment", connected)
    monkeypatch.setattr(line, "schema_of", lambda _: SimpleNamespace(digest=digest))
    monkeypatch.setattr("rollback.database.schema.dump.text", lambda *_: "")
    monkeypatch.setattr("rollback.database.schema.recorded.read", lambda _: SimpleNamespace(dump=""))
    monkeypatch.setattr(line, "_differences", lambda *_: "a table")
    (found,) = read([("schema", lambda: line.schema(there, one))])
    assert f"{found.word}: {found.seen}".startswith(told)
