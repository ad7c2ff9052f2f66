"""The command of this process: what was typed, and when; reading and planning take seconds that users wait as well."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Typed", "now"]

_IMPORTED = time.monotonic()
#: Of /proc/PID/stat after the name in parentheses: the start in clock ticks since the boot (proc(5), field 22).
_START = 22 - 3


@dataclass(frozen=True)
class Typed:
    """A command.

    Attributes:
        at: when its process began, on the monotonic clock.
    """

    command: str
    at: float


def now() -> Typed:
    """The command of this process."""
    return Typed(shlex.join(["rollback", *sys.argv[1:]]), _began())


def _began() -> float:
    """From the kernel; without /proc when this module was loaded, a second late."""
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return _IMPORTED
    ticks = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[_START])
    # since the boot, as CLOCK_BOOTTIME counts; a host that was asleep has another monotonic clock
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - ago
