"""One mutating command at a time for each deployment, and no stale lock: the kernel drops it with its holders."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import private
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["boot", "handles", "held", "who"]

#: How long to wait for what a killed command has started, in seconds: a `docker compose up` that still works.
ORPHAN_SECONDS = 180.0
POLL_SECONDS = 0.1

_handles: list[int] = []


def handles() -> tuple[int, ...]:
    """The locks that this process holds, for the children that it starts.

    A child that outlives its killed parent still changes the deployment: while it does, the lock is held by it.
    """
    return tuple(_handles)


def _holder(what: str) -> dict[str, str | int]:
    return {
        "who": who(),
        "what": what,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "pid": os.getpid(),
        "boot": boot(),
    }


def who() -> str:
    """The operator, for whoever is refused because of him."""
    return f"{_user()}@{socket.gethostname()}"


def boot() -> str:
    """Id of this boot of the host, "" where it has none: monotonic clocks compare within one alone."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"


@contextmanager
def held(path: Path, what: str, *, patience: float = ORPHAN_SECONDS) -> Iterator[None]:
    """Hold the deployment's lock while the block runs.

    The lock is a flock that the engine's children share: it ends with the last of them. A dead holder blocks
    nobody for longer than what it started goes on.

    Args:
        path: the lock file.
        what: the command, for whoever is refused.
        patience: seconds to wait for the children of a holder that was killed.

    Raises:
        Refused: when another command holds it; it says who, what, since when and with which pid.
    """
    private.folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, patience)
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps(_holder(what)).encode(), 0)
        _handles.append(handle)
        yield
    finally:
        if handle in _handles:
            _handles.remove(handle)
            # an orderly end is one for everybody: a child that stays (a kept ssh connection) holds nothing
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _take(handle: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not _free(handle):
        holder = _read(handle)
        if _lives(holder):
            raise Refused(_sentence(holder), "wait for it, or talk to them")
        if time.monotonic() >= deadline:
            raise Refused(
                f"{_sentence(holder)} It was killed, and what it started still works after {patience:g} s.",
                "look for its `docker` with `ps`, let it end, then repeat the command",
            )
        time.sleep(POLL_SECONDS)


def _free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(handle: int) -> dict[str, Any]:
    """The holder's entry; empty while it is being written."""
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the process that took the lock is still there; one that cannot be told is."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0 or holder.get("boot") != boot():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A dead process whose parent has not looked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"


def _sentence(holder: dict[str, Any]) -> str:
    try:
        return "{who} has held the lock of this deployment since {since} for `{what}` (pid {pid}).".format(**holder)
    except KeyError:
        return "Another rollback command holds the lock of this deployment."
