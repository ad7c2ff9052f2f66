"""Servers of the reference image that the tests start and throw away."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import disposable, server
from rollback.database.scratch import ready
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rollback.database.server import Server

IMAGE = "spheroseg-drill/db:15"
LIVE = "spheroseg"


@contextmanager
def with_notes(
    folder: Path, notes: str, *, options: Sequence[str] = (), settings: Sequence[str] = ()
) -> Iterator[Server]:
    """A server that keeps what it is told as a live one does, unlike a scratch server: LIVE holds a table of notes.

    Args:
        folder: where its commands work.
        notes: the query whose rows the notes are.
        options: of `docker run`.
        settings: of PostgreSQL.
    """
    engine, name, password = Engine(folder), disposable.name("notes"), "x"
    argv = commands.scratch(IMAGE, name=name, label=disposable.label(), settings=settings)
    argv[3:3] = options
    env = {"POSTGRES_PASSWORD": password, "POSTGRES_USER": "postgres"}
    with (
        disposable.started(engine, name, argv, env) as container,
        server.of_container(engine, container, user="postgres", password=password) as one,
    ):
        ready(one)
        with one.connect("postgres", autocommit=True) as session:
            session.execute(f"CREATE DATABASE {LIVE}".encode())
        with one.connect(LIVE, autocommit=True) as session:
            session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
            session.execute(f"CREATE TABLE notes AS {notes}".encode())
        yield one


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
