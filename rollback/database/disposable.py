"""Containers of our own that live as long as a command: labelled with their owner, removed with it or after it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import commands
from rollback.engine import wait_until
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rollback.commands import Argv
    from rollback.engine import Engine

__all__ = ["LABEL", "label", "name", "started", "sweep", "volumes"]

LABEL = "rollback.owner"
_SWEEP_SECONDS = 60


def name(what: str) -> str:
    """A container name that nobody else has."""
    return f"rollback-{what}-{secrets.token_hex(4)}"


def label() -> str:
    """The label that says whose it is: this process, in its space of process numbers, host and boot."""
    return f"{LABEL}={'/'.join((str(os.getpid()), *_here()))}"


@contextmanager
def started(engine: Engine, container: str, argv: Argv, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """A detached container, by its ID; removed with its anonymous volumes at the end of the block.

    Raises:
        Failed: it could not be started.
    """
    try:
        result = engine.run(argv, env=env)
        if result.code != 0:
            raise Failed(f"The container {container} could not be started: {result.err.strip()}.")
        yield result.out.strip()
    finally:
        engine.run(commands.remove_with_volumes([container]))


def volumes(engine: Engine, image: str) -> list[str]:
    """The image's own volumes, to be hidden from a container that needs none: filling them takes a second."""
    found = json.loads(engine.ask(commands.inspect("image", [image])))
    return sorted(found[0]["Config"].get("Volumes") or {})


def sweep(engine: Engine) -> None:
    """Remove what killed commands have left; what belongs to the living is theirs.

    Raises:
        Failed: something of the dead is still there after a while.
    """
    dead = _dead(engine)
    if not dead:
        return
    # its exit code says nothing: a command that sweeps at the same time makes it fail, and the work is done
    removal = engine.run(commands.remove_with_volumes(dead))

    def gone() -> tuple[bool, str]:
        left = sorted(set(_dead(engine)) & set(dead))
        return not left, f"{', '.join(left)} left; {removal.err.strip()}"

    wait_until(gone, seconds=_SWEEP_SECONDS, what="the removal of what killed commands have left")


def _dead(engine: Engine) -> list[str]:
    rows = [row.split() for row in engine.ask(commands.labelled(LABEL)).splitlines()]
    return [container for container, owner in rows if not _lives(owner)]


def _here() -> tuple[str, str, str]:
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return (
        str(space.readlink()) if space.is_symlink() else "",
        socket.gethostname(),
        boot.read_text(encoding="ascii").strip() if boot.exists() else "",
    )


def _lives(owner: str) -> bool:
    """Whether the owner may still be there; who cannot be seen from here may be."""
    pid, space, host, boot = [*owner.split("/"), "", "", "", ""][:4]
    ours = _here()
    if host != ours[1]:
        return True
    if boot != ours[2]:
        return False
    return space != ours[0] or Path("/proc", pid).exists()
