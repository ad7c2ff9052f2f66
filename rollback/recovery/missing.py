"""What of the last writes is missing: from when, until when, and how many, as far as what is left can tell."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.recovery.database import Database
    from rollback.recovery.ground import Ground

__all__ = ["Acknowledged", "Missing", "acknowledged"]

#: A request that changes something and was answered as done: JSON (`"request":"POST /x HTTP/1.1","status":201`), or
#: nginx's `combined` format (`"POST /x HTTP/1.1" 201 157`).
_WRITE = re.compile(r'"((?:POST|PUT|PATCH|DELETE) /[^" ]*)[^"]*"(?:,"status":\s*"?| )(2\d\d)\b')
_IDENTITY = re.compile(r"/(?:[0-9a-fA-F-]{16,}|\d+)(?=/|$)")
_STAMP = len("2024-01-19T14:20:00")
_SHOWN = 6


@dataclass
class Acknowledged:
    """Changing requests that the edge has answered as done; `last` is when, UTC, and empty where there was none.

    `first` is when the log begins, UTC; empty where it holds nothing.
    """

    count: int = 0
    first: str = ""
    last: str = ""
    kinds: Counter[str] = field(default_factory=Counter)


def acknowledged(lines: Iterable[str], since: datetime) -> Acknowledged:
    """Count them in a log with the engine's time stamps, from an instant on; its second counts whole."""
    found, begin = Acknowledged(), since.astimezone(UTC).isoformat(timespec="seconds")[:_STAMP]
    for line in lines:
        found.first = found.first or line[:_STAMP]
        match = _WRITE.search(line)
        if match and line[:_STAMP] >= begin:
            found.count += 1
            found.last = max(found.last, line[:_STAMP])
            found.kinds[_IDENTITY.sub("/*", match[1].partition("?")[0])] += 1
    return found


@dataclass(frozen=True)
class Missing:
    """The answer, read from what was kept of the containers."""

    ground: Ground
    database: Database

    def reading(self) -> Reading:
        """A sentence and its figures; it is always so, and never nothing."""
        if self.database.kept:
            return Reading(holds=True, seen="nothing: the database of before was kept", figures={"writes_missing": 0})
        since = self.ground.archive.at
        log = self._log(since)
        until = log.last if log is not None else ""
        figures: dict[str, float] = {"seconds_missing": self._seconds(since, until)}
        if log is None:
            told = "how many writes that are is not known: the edge's log is gone"
        elif not log.first or log.first > since.astimezone(UTC).isoformat(timespec="seconds")[:_STAMP]:
            begins = f"begins at {log.first} UTC only" if log.first else "is empty"
            told = f"how many writes that are is not known: the edge's log {begins}; in it are {log.count}"
        else:
            figures["writes_missing"] = log.count
            kinds = ", ".join(f"{count} {kind}" for kind, count in log.kinds.most_common(_SHOWN))
            told = f"at most {log.count} acknowledged requests that change something ({kinds or 'none'})"
        begin = since.astimezone(UTC).isoformat(timespec="seconds")[:_STAMP]
        end = f"{until} UTC" if until else f"the failure, {self.ground.facts['since']} at the latest"
        return Reading(holds=True, seen=f"what was written from {begin} UTC to {end}: {told}", figures=figures)

    def _seconds(self, since: datetime, until: str) -> float:
        end = (
            datetime.fromisoformat(until).replace(tzinfo=UTC)
            if until
            else datetime.fromisoformat(self.ground.facts["since"])
        )
        return max(0.0, round((end - since) / timedelta(seconds=1), 3))

    def _log(self, since: datetime) -> Acknowledged | None:
        """From the kept log of the edge; None where no container of it was left."""
        index = self.ground.folder / "left" / "index.json"
        if not index.is_file():
            return None
        edge = self.ground.deployment.settings.edge.service
        logs = [one["log"] for one in json.loads(index.read_text(encoding="utf-8")) if one["service"] == edge]
        if not logs:
            return None
        whole = Acknowledged()
        for name in logs:
            with (index.parent / name).open(encoding="utf-8", errors="replace") as lines:
                one = acknowledged(lines, since)
            begins = min(filter(None, (whole.first, one.first)), default="")
            whole = Acknowledged(whole.count + one.count, begins, max(whole.last, one.last), whole.kinds + one.kinds)
        return whole
