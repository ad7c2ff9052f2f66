"""What users met meanwhile, counted from the edge's own log."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.outcome import Failed, Stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.deployment import Deployment

__all__ = ["LOOK_BACK", "Count", "counted", "measure", "since"]

#: How far before the command its log is read: what made the operator type it has to be in it.
LOOK_BACK = timedelta(minutes=30)

#: JSON (`"status":502`), or nginx's `combined` format (`"GET / HTTP/1.1" 502 157`).
_STATUS = re.compile(r'"status":\s*"?(\d{3})\b|" (\d{3}) (?:\d+|-)')
#: Answers that are the server's fault; 499 is a client that did not wait.
_FAILED = range(500, 600)
#: A log that takes longer to read is not worth the operator's wait: then nothing was measured, and that is said.
_SECONDS = 20
_STAMP = len("2024-01-19T14:20:00")


@dataclass(frozen=True)
class Count:
    """Requests of a log.

    Attributes:
        since: time of the first one, UTC; empty where there is none.
        first: of the first one that failed; empty where none did.
    """

    requests: int = 0
    failed: int = 0
    since: str = ""
    until: str = ""
    first: str = ""
    last: str = ""


def counted(lines: Iterable[str]) -> Count:
    """Count the requests of a log with the engine's time stamps; what is no request (a notice, an error) is none."""
    requests, bad, since, until, first, last = 0, 0, "", "", "", ""
    for line in lines:
        found = _STATUS.search(line)
        if not found:
            continue
        at = line[:_STAMP]
        requests, since, until = requests + 1, since or at, at
        if int(found[1] or found[2]) in _FAILED:
            bad, first, last = bad + 1, first or at, at
    return Count(requests, bad, since, until, first, last)


def measure(deployment: Deployment, began: datetime) -> dict[str, Any]:
    """Count from half an hour before the beginning until now; where it cannot be read, the reason.

    The log of a container that was replaced meanwhile is gone with it: `since` says how far back this one goes.
    """
    try:
        return since(deployment, began - LOOK_BACK).__dict__
    except (Stop, OSError) as error:
        return {"reason": f"the edge's log cannot be read: {error}"}


def since(deployment: Deployment, at: datetime, *, latest: int | None = None) -> Count:
    """Count from an instant until now.

    Args:
        deployment: whose edge.
        at: the instant.
        latest: so many lines at most, the last ones: the engine reads a log from its beginning unless it is told.

    Raises:
        Failed: the edge has no container, or its log cannot be read.
    """
    service = deployment.settings.edge.service
    there = deployment.serving(service)
    if not there:
        raise Failed(f"The edge service {service} has no container.")
    with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
        path = Path(folder) / "edge.log"
        stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        argv = commands.logs(there[0].name, tail=latest, since=stamp)
        result = deployment.engine.save(argv, path, both=True, seconds=_SECONDS)
        if result.code != 0:
            raise Failed(f"`docker logs` ended with {result.code}.")
        with path.open(encoding="utf-8", errors="replace") as lines:
            return counted(lines)
