"""Security breach: who holds a table whole keeps the database out of the evidence, unless his session is ended."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from drills.database.servers import LIVE, with_notes
from rollback.containment.evidence import Evidence
from rollback.containment.standing import Standing
from rollback.database import safety
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as a live one."""
    with with_notes(tmp_path_factory.mktemp("live"), "SELECT 1 AS note") as one:
        yield one


def deployment(live: Server, state: Path) -> Any:
    """As much of one as is asked for its database."""
    table = SimpleNamespace(service="db", name=LIVE, user="postgres")
    return SimpleNamespace(
        engine=Engine(state), state=state, settings=SimpleNamespace(database=table), compose=None,
        serving=lambda _: [SimpleNamespace(id=live.container, running=True)],
        config=lambda _: {"services": {"db": {"environment": {"POSTGRES_PASSWORD": "x"}}}},
    )  # fmt: skip


@pytest.mark.parametrize("shut", [True, False], ids=["shut", "open"])
def test_a_table_that_is_held_whole(
    live: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shut: bool
) -> None:
    """While it is shut no session is spared, under whatever name; while it is open users go on, and it is said."""
    monkeypatch.setattr(safety, "LOCK_SECONDS", 2)
    there = deployment(live, tmp_path)
    if shut:
        Standing("now").write(there)
    with live.connect(LIVE) as intruder:  # its name is that of the rollback's own sessions
        intruder.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
        lacking = Evidence(there, "run", tmp_path)._database(tmp_path)  # noqa: SLF001 -- all else of it needs a stack
        noted = json.loads((tmp_path / "database-connections.json").read_text(encoding="utf-8"))
        assert ["LOCK TABLE" in one["query"] for one in noted if one["datname"] == LIVE] == [True]
        if shut:
            assert (lacking, (tmp_path / "database.dump").is_file()) == ([], True)
            with pytest.raises(psycopg.errors.AdminShutdown):
                intruder.execute("SELECT 1")
        else:
            assert [("waited 2 s for a table" in one, "has held notes" in one) for one in lacking] == [(True, True)]
            intruder.execute("SELECT 1")
