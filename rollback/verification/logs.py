"""How often something went wrong lately: error lines in the logs, and requests that failed at the edge."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rollback import commands
from rollback.documents import impact
from rollback.outcome import Failed
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["MAX_ERRORS", "error_lines", "errors", "requests"]

LOG_LINES = 50
MAX_ERRORS = 5  # MAX_ERROR_RATE of the runbook's automation script
#: What was longer ago is history: one burst of then would hide among quiet hours, or hide those.
LONGEST = timedelta(minutes=10)
_ERROR = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL|PANIC|Traceback)\b|\[(?:error|crit|alert|emerg)\]|\"level\":\s*\"(?:error|fatal)\""
)


def error_lines(log: str) -> int:
    """The number of lines that report an error; one that says so twice is one line."""
    return sum(1 for line in log.splitlines() if _ERROR.search(line))


def errors(deployment: Deployment, since: datetime | None) -> Seen:
    """No more error lines a minute than [verify] errors_per_minute, since the given time and within ten minutes.

    Without a time the last lines of each service are counted, whenever they were written.

    Raises:
        Failed: a log cannot be read: no line of it is no good news.
    """
    stamp = None if since is None else _stamp(within(since))
    found, read = 0, 0
    for service in deployment.settings.services.values():
        for one in deployment.serving(service.service):
            read += 1
            tail = None if since else LOG_LINES
            result = deployment.engine.run(commands.logs(one.name, tail=tail, since=stamp))
            if result.code != 0:
                raise Failed(f"The log of {one.name} cannot be read: {result.err.strip()[:200]}")
            found += error_lines(result.out) + error_lines(result.err)
    if not read:
        return False, "no container whose log could be read"
    if since is None:
        told = f"{found} error lines in the last {LOG_LINES} lines of each service (limit {MAX_ERRORS})"
        return found <= MAX_ERRORS, told
    limit = deployment.settings.verify.errors_per_minute
    minutes = max(1.0, (datetime.now(UTC) - within(since)).total_seconds() / 60)
    return found <= limit * minutes, f"{found} error lines since {stamp}, limit {limit:g} a minute"


def requests(deployment: Deployment, since: datetime) -> Seen:
    """No more than [verify] error_percent of the requests failed at the edge (5xx), as its own log says.

    Raises:
        NotTested: its log has no request that could be counted.
    """
    count = impact.since(deployment, within(since))
    if not count.requests:
        raise NotTested(f"the edge's log has no request since {_stamp(within(since))}")
    limit = deployment.settings.verify.error_percent
    told = f"{count.failed} of {count.requests} requests failed since {_stamp(within(since))}, limit {limit:g} %"
    return count.failed * 100 <= count.requests * limit, told


def within(since: datetime) -> datetime:
    """The given time, or ten minutes ago if that is later."""
    return max(since, datetime.now(UTC) - LONGEST)


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
