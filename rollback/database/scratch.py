"""A scratch PostgreSQL: disposable, reachable by nobody else, gone at the end whatever happens."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import disposable, server
from rollback.engine import wait_until
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Server
    from rollback.engine import Engine

__all__ = ["DEFAULT_IMAGE", "ready", "scratch"]

DEFAULT_IMAGE = "postgres:15"
USER = "postgres"
START_SECONDS = 60
#: Nothing in it is worth a sync.
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off", "wal_level=minimal",
         "max_wal_senders=0")  # fmt: skip


@contextmanager
def scratch(engine: Engine, image: str = DEFAULT_IMAGE, *, user: str = USER) -> Iterator[Server]:
    """A new server from an image that behaves as the public postgres image; removed with the block.

    What a killed command left is removed first.

    Raises:
        Refused: the image is neither here nor can it be pulled.
        Failed: the server does not start; with the end of its log.
    """
    disposable.sweep(engine)
    _at_hand(engine, image)
    name, password = disposable.name("scratch"), secrets.token_urlsafe(18)
    argv = commands.scratch(image, name=name, label=disposable.label(), settings=_FAST)
    env = {"POSTGRES_PASSWORD": password, "POSTGRES_USER": user}
    with (
        disposable.started(engine, name, argv, env) as container,
        server.of_container(engine, container, user=user, password=password) as one,
    ):
        ready(one)
        yield one


def _at_hand(engine: Engine, image: str) -> None:
    if engine.run(commands.inspect("image", [image])).code == 0:
        return
    pulled = engine.run(["docker", "pull", "--quiet", image], seconds=1800)
    if pulled.code != 0:
        raise Refused(
            f"The image {image} for a scratch PostgreSQL is not here and cannot be pulled: {pulled.err.strip()}.",
            "name one that is here with --image (`docker images`)",
        )


def ready(one: Server) -> None:
    """Wait until a server that was just started answers.

    Raises:
        Failed: it does not; with the end of its log.
    """

    def answers() -> tuple[bool, str]:
        try:
            one.connect("postgres").close()
        except Failed as stop:
            return False, stop.found
        return True, "answers"

    try:
        wait_until(answers, seconds=START_SECONDS, what="a scratch PostgreSQL")
    except Failed as stop:
        log = one.engine.run(commands.logs(one.container, tail=15))
        raise Failed(f"{stop.found} The end of its log: {(log.out + log.err).strip()}") from stop
