"""A PostgreSQL that the rollback may use: connections, and PostgreSQL's own programs of the server's version."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from rollback import commands
from rollback.database import disposable, tunnel
from rollback.database.session import PINNED
from rollback.mount import bind
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rollback.deployment import Container, Deployment
    from rollback.engine import Engine, Result

__all__ = [
    "WORK",
    "Connection",
    "Server",
    "at_hand",
    "ended",
    "of_container",
    "of_deployment",
    "run_alone",
    "session_of",
]

#: Where a program finds the folder that it was given.
WORK = "/exchange"
CONNECT_SECONDS = 30
_OF_DOCKER = (125, 126, 127)

Connection = psycopg.Connection[tuple[object, ...]]

#: Of every session; how the text of values comes out is `session`'s.
_SETTINGS = PINNED | {"client_encoding": "UTF8", "application_name": "rollback"}


@dataclass(frozen=True)
class Server:
    """One running PostgreSQL in a container.

    Attributes:
        engine: the door to docker.
        container: its ID.
        image: the image it was made from; the programs come from it, so versions always agree.
        user: a superuser.
        socket: the folder of the tunnel's socket.
        password: for a server that does not trust its own 127.0.0.1; empty otherwise.
        search_path: of its sessions, whatever is set for the database or the role; empty: as it is set there.
    """

    engine: Engine
    container: str
    image: str
    user: str
    socket: Path
    password: str = field(default="", repr=False)
    search_path: str = ""

    def connect(self, database: str, *, autocommit: bool = False) -> Connection:
        """A session in which equal rows have equal text.

        Raises:
            Failed: the server cannot be reached or refuses.
        """
        settings = _SETTINGS | ({"search_path": self.search_path} if self.search_path else {})
        options = " ".join(f"-c {key}={value.replace(' ', chr(92) + ' ')}" for key, value in settings.items())
        try:
            return psycopg.connect(
                host=str(self.socket),
                port=tunnel.PORT,
                user=self.user,
                password=self.password or None,
                dbname=database,
                options=options,
                connect_timeout=CONNECT_SECONDS,
                autocommit=autocommit,
                sslmode="disable",
            )
        except psycopg.OperationalError as error:
            raise Failed(f"The database `{database}` cannot be reached: {_line(error)}.", "is it running?") from error

    def run(self, argv: Sequence[str], *, folder: Path | None = None, seconds: float = 3600) -> Result:
        """Run one of PostgreSQL's programs beside the server; `folder` of this host is its /exchange.

        It runs as the operator, in the server's network, with the server's own version; nothing of it stays.
        """
        command = _program(self.engine, self.image, argv, f"container:{self.container}", folder)
        env = {"PGHOST": "127.0.0.1", "PGUSER": self.user, "PGPASSWORD": self.password}
        return self.engine.run(command, env=env, seconds=seconds)


def run_alone(engine: Engine, image: str, argv: Sequence[str], *, folder: Path, seconds: float = 3600) -> Result:
    """Run one of PostgreSQL's programs that needs no server and no network; `folder` of this host is its /exchange."""
    return engine.run(_program(engine, image, argv, "none", folder), seconds=seconds)


def _program(engine: Engine, image: str, argv: Sequence[str], network: str, folder: Path | None) -> commands.Argv:
    return commands.program(
        argv,
        image=image,
        network=network,
        name=disposable.name("tool"),
        label=disposable.label(),
        mount=None if folder is None else bind(folder, WORK),
        user=f"{os.getuid()}:{os.getgid()}",
        hidden=disposable.volumes(engine, image),
    )


def ended(result: Result, program: str) -> None:
    """Say that a program was run at all: docker keeps some exit codes for itself.

    Raises:
        Failed: it was not; that says nothing about what it was to look at.
    """
    if result.code in _OF_DOCKER:
        raise Failed(f"{program} could not be run: {result.err.strip()}.", "is the engine well, and the image here?")


@contextmanager
def of_container(engine: Engine, container: str, *, user: str, password: str = "") -> Iterator[Server]:
    """The PostgreSQL of a container; the way to it is closed with the block.

    Raises:
        Failed: the container has ended, with the end of its log.
    """
    raw = json.loads(engine.ask(commands.inspect("container", [container])))[0]
    with ExitStack() as stack:
        try:
            socket = stack.enter_context(tunnel.opened(engine, raw["Id"], raw["Image"]))
        except Failed as stop:
            _lives(engine, container, stop)
            raise
        yield Server(engine, raw["Id"], raw["Image"], user, socket, password)


def _lives(engine: Engine, container: str, stop: Failed) -> None:
    """There is no way to what has ended, as an image does that is no PostgreSQL.

    Raises:
        Failed: it has, with the end of its log.
    """
    raw = json.loads(engine.ask(commands.inspect("container", [container])))[0]
    if not raw["State"]["Running"]:
        log = engine.run(commands.logs(container, tail=5))
        said = " | ".join((log.out + log.err).strip().splitlines())
        raise Failed(f"The container of {raw['Config']['Image']} has ended: {said}.", "is it a PostgreSQL?") from stop


@contextmanager
def of_deployment(deployment: Deployment) -> Iterator[Server]:
    """The database service of a deployment.

    Raises:
        Failed: it does not run.
    """
    table = deployment.settings.database
    running = [one for one in deployment.serving(table.service) if one.running]
    if not running:
        raise Failed(
            f"The database service `{table.service}` is not running.", f"`docker compose up -d {table.service}`"
        )
    service = deployment.config(deployment.compose)["services"][table.service]
    password = str((service.get("environment") or {}).get("POSTGRES_PASSWORD") or "")
    with of_container(deployment.engine, running[0].id, user=table.user, password=password) as server:
        yield server


@contextmanager
def session_of(deployment: Deployment) -> Iterator[Connection]:
    """A session of one's own on the live database, in autocommit.

    Raises:
        Failed: it does not run, or cannot be reached.
    """
    with (
        of_deployment(deployment) as one,
        one.connect(deployment.settings.database.name, autocommit=True) as session,
    ):
        yield session


def at_hand(deployment: Deployment, one: Container) -> bool:
    """Whether a container is well; of the database's also whether its server takes connections.

    Without a health check well means only that it runs. It is asked over TCP, for the server by which a first start
    prepares its files listens on the socket alone; and for no database, for the application's may not be there yet.
    """
    table = deployment.settings.database
    return one.well and (one.service != table.service or _takes_connections(deployment.engine, one, table.user))


def _takes_connections(engine: Engine, one: Container, user: str) -> bool:
    words = ["pg_isready", "--quiet", "--host=127.0.0.1", f"--username={user}"]
    return (
        engine.run(_program(engine, one.image, words, f"container:{one.id}", None), seconds=CONNECT_SECONDS).code == 0
    )


def _line(error: Exception) -> str:
    """The first line of libpq's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
