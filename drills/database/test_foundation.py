"""What everything else about databases stands on, seen on a real PostgreSQL: the way in."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from drills.database.servers import IMAGE, until
from rollback.database import disposable
from rollback.database.scratch import scratch
from rollback.engine import Engine
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


@contextmanager
def owned_containers(server: Server, count: int) -> Iterator[list[str]]:
    """Running containers of a process that lives as long as the block: a command elsewhere sweeps them only then."""
    names = [disposable.name("test") for _ in range(count)]
    with subprocess.Popen(["sleep", "600"]) as owner:
        try:
            label = disposable.label().replace(f"={os.getpid()}/", f"={owner.pid}/")
            for name in names:
                argv = ["docker", "run", "--detach", "--name", name, "--label", label]
                server.engine.ask([*argv, "--entrypoint", "sleep", IMAGE, "600"])
            yield names
        finally:
            owner.kill()


def others(connection: Connection, name: str) -> int:
    """Sessions of that name."""
    row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (name,)).fetchone()
    return int(str(row[0])) if row else 0


def test_many_sessions_come_and_go_and_the_server_lives_on(server: Server) -> None:
    """No session that ends takes a backend of somebody else with it: the server was started once."""
    with server.connect("postgres") as steady:
        for _ in range(15):
            server.connect("postgres").close()
        assert steady.execute("SELECT 1").fetchone() == (1,)
    log = server.engine.run(["docker", "logs", server.container])
    assert (log.out + log.err).count("ready to accept connections") == 1


def test_a_client_that_is_killed_is_noticed_by_the_server(server: Server) -> None:
    """A dead operator leaves no session that holds locks."""
    program = (
        "import sys, psycopg; c = psycopg.connect(host=sys.argv[1], user='postgres', dbname='postgres',"
        " password=sys.stdin.readline().strip(), application_name='victim'); print('up', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", program, str(server.socket)]
    with (
        server.connect("postgres", autocommit=True) as watch,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim,
    ):
        assert victim.stdin
        assert victim.stdout
        victim.stdin.write(f"{server.password}\n")
        victim.stdin.flush()
        assert victim.stdout.readline() == "up\n"
        assert others(watch, "victim") == 1
        victim.kill()
        until(lambda: others(watch, "victim") == 0)


def test_a_session_that_the_server_ends_is_noticed_by_the_client(server: Server) -> None:
    """Nobody waits for ever on a connection that is gone."""
    with server.connect("postgres", autocommit=True) as other:
        ended = server.connect("postgres")
        other.execute("SELECT pg_terminate_backend(%s)", (ended.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            ended.execute("SELECT 1")


def test_programs_write_into_any_folder(server: Server, tmp_path: Path) -> None:
    """A path with spaces, commas, quotes and umlauts is one path, and the files are the operator's."""
    folder = tmp_path / 'a, "b" ü'
    folder.mkdir()
    result = server.run(["pg_dump", "-Fd", "-j2", "-f", "/exchange/dump", "-d", "postgres"], folder=folder)
    assert (result.code, result.err) == (0, "")
    assert (folder / "dump/toc.dat").stat().st_uid == folder.stat().st_uid


def test_what_a_killed_command_left_is_swept_and_the_living_are_not(server: Server) -> None:
    """A scratch server goes with its owner: while that lives it is let be, the next command after it removes it."""
    with owned_containers(server, 1) as (name,):
        disposable.sweep(server.engine)
        assert server.engine.run(["docker", "container", "inspect", name]).code == 0
    disposable.sweep(server.engine)
    assert server.engine.run(["docker", "container", "inspect", name]).code != 0
    assert server.engine.run(["docker", "container", "inspect", server.container]).code == 0


def test_commands_that_sweep_at_the_same_time_do_not_fail_each_other(server: Server) -> None:
    """Whoever is late finds the work done."""
    with owned_containers(server, 3) as names:
        pass
    with ThreadPoolExecutor() as pool:
        for sweeping in [pool.submit(disposable.sweep, server.engine) for _ in range(4)]:
            sweeping.result()
    assert all(server.engine.run(["docker", "container", "inspect", name]).code != 0 for name in names)


def test_an_image_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    """It is refused, with what to do."""
    engine = Engine(tmp_path)
    with pytest.raises(Refused, match="is not here and cannot be pulled"), scratch(engine, "invalid.invalid/none:1"):
        pytest.fail("started")
