"""One mutating command at a time for each deployment, and no stale lock: the kernel drops it with its holder."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["held"]


def _holder(what: str) -> dict[str, str | int]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "who": f"{_user()}@{socket.gethostname()}",
        "what": what,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "pid": os.getpid(),
        "boot": boot.read_text(encoding="ascii").strip() if boot.exists() else "",
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the deployment's lock while the block runs.

    The lock is a flock: it ends with its process, so a dead holder never blocks anybody. Children do not
    inherit it.

    Raises:
        Refused: when another command holds it; it says who, what, since when and with which pid.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(_sentence(os.read(handle, 4096)), "wait for it, or talk to them") from None
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps(_holder(what)).encode(), 0)
        yield
    finally:
        os.close(handle)


def _sentence(raw: bytes) -> str:
    told = "{who} has held the lock of this deployment since {since} for `{what}` (pid {pid})."
    try:
        return told.format(**json.loads(raw))
    except (ValueError, KeyError, TypeError):  # its holder is just writing it
        return "Another rollback command holds the lock of this deployment."
