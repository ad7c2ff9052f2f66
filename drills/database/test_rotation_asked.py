"""Rotation of the database's password where PostgreSQL asks whoever comes for it, on a real one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from drills.database.servers import until
from rollback.containment.keyring import Keyring
from rollback.containment.rotation import Rotation
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

RULES = "SELECT 'local all all scram-sha-256' UNION SELECT 'host all all all scram-sha-256'"
OLD = "of the env file"


@pytest.fixture
def asking(server: Server) -> Iterator[Server]:
    """A server that trusts nobody, not even at 127.0.0.1, and as it is known from the env files."""
    with server.connect("postgres", autocommit=True) as admin:
        path = str((admin.execute("SHOW hba_file").fetchone() or ("",))[0])
        admin.execute(f"ALTER ROLE postgres PASSWORD '{OLD}'".encode())
        admin.execute(f"COPY ({RULES}) TO '{path}'".encode())
        admin.execute("SELECT pg_reload_conf()")
        until(lambda: not takes(server, "neither"))
        yield replace(server, password=OLD)


def takes(server: Server, password: str) -> bool:
    """Whether somebody gets in with a password."""
    try:
        replace(server, password=password).connect("postgres").close()
    except Failed:
        return False
    return True


def test_killed_after_the_database_has_its_new_password_it_goes_on(
    asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The env files still have the old one, which lets nobody in any more; with neither it says so."""
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(asking))
    table = SimpleNamespace(secrets={"POSTGRES_PASSWORD": "database"})
    deployment: Any = SimpleNamespace(
        settings=SimpleNamespace(containment=table, database=SimpleNamespace(user="postgres"))
    )
    rotation = Rotation(deployment, tmp_path / "run")
    fresh = Keyring.made(rotation.folder, rotation.table)
    for _ in range(2):
        rotation._database(fresh)  # noqa: SLF001 -- what is done before the first file
        assert [takes(asking, one) for one in (OLD, fresh.values["database"])] == [False, True]
    with pytest.raises(Failed, match="password authentication failed"):
        rotation._database(Keyring({"database": "of another run"}))  # noqa: SLF001
