"""The safety backup that every rollback takes before it changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import holders, server
from rollback.outcome import Failed, Stop
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["dump", "read_to_the_end"]

#: How long to wait for a table that somebody holds whole, in seconds: who keeps even readers out so long is in trouble.
LOCK_SECONDS = 20


def dump(deployment: Deployment, target: Path) -> str:
    """Dump the database into a compressed archive and return the SHA-256 of the file.

    The archive is written under a temporary name, read to its end by pg_restore (a listing alone would pass on
    a truncated one) and renamed only then: a file under the final name is whole.

    Raises:
        Failed: when it could not be written or read; where somebody holds a table whole, it says who, since when, and
            how that is ended.
    """
    table = deployment.settings.database
    container = _running(deployment)
    part = target.with_suffix(".part")
    argv = ["pg_dump", "-U", table.user, "-d", table.name, "-Fc", "-Z1"]
    argv.append(f"--lock-wait-timeout={LOCK_SECONDS}s")
    done = deployment.engine.save(commands.execute(container, argv), part)
    if done.code != 0:
        raise _failed(deployment, f"pg_dump ended with exit code {done.code}: {done.err.strip()}.")
    read_to_the_end(deployment, part)
    part.replace(target)
    return sha256(target)


def _failed(deployment: Deployment, found: str) -> Failed:
    """Usually the database is ill; a table that is held whole has somebody who holds it."""
    try:
        with (
            server.of_deployment(deployment) as live,
            live.connect(deployment.settings.database.name, autocommit=True) as session,
        ):
            there = holders.of_tables(session)
    except Stop:
        there = []
    if not there:
        return Failed(found, "is the database healthy?")
    return Failed(
        f"The safety backup waited {LOCK_SECONDS} s for a table: {holders.told(there)}", holders.way_out(there)
    )


def read_to_the_end(deployment: Deployment, archive: Path) -> None:
    """Prove that pg_restore can read every block of an archive.

    Raises:
        Failed: when it cannot.
    """
    argv = commands.execute(_running(deployment), ["pg_restore", "-f", "/dev/null"], stdin=True)
    result = deployment.engine.feed(argv, archive)
    if result.code != 0:
        raise Failed(f"{archive.name} cannot be read to its end: {result.err.strip()}.", "take it again")


def _running(deployment: Deployment) -> str:
    service = deployment.settings.database.service
    running = [one for one in deployment.serving(service) if one.running]
    if not running:
        raise Failed(f"The database service `{service}` is not running.", f"`docker compose up -d {service}`")
    return running[0].id
