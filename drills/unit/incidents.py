"""A run of a journal, as tests of the documents need it: by the seconds after which its events came."""

from __future__ import annotations

from typing import Any

from rollback.documents import incident
from rollback.journal import Entry

MOVED = "users served by v4.0.0"
BEGIN = {
    "procedure": "application",
    "arguments": {"version": "v4.0.0", "roles": ["backend", "ml"]},
    "summary": "put backend and ml back as v4.0.0 had them",
    "notes": ["backend publishes 5001"],
    "steps": ["state before recorded", MOVED],
    "moves": [MOVED],
    "who": "operator@host",
    "command": "rollback application v4.0.0 --yes",
}
USUAL: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (0, "begin", BEGIN),
    (1, "intent", {"step": "state before recorded"}),
    (2, "done", {"step": "state before recorded", "seconds": 1.0, "seen": "state and logs"}),
    (3, "intent", {"step": MOVED}),
    (4.5, "done", {"step": MOVED, "seconds": 1.5, "seen": "generation answers"}),
    (9, "end", {"outcome": "done"}),
)


def entries(*events: tuple[float, str, dict[str, Any]], run: str = "r1", mono: float = 1000.0) -> list[Entry]:
    """Entries as a journal would hold them, at 14:20 and so many seconds."""
    found: list[Entry] = []
    for after, event, data in events:
        minute, second = divmod(after, 60)
        at = f"2024-01-19T14:{20 + int(minute):02}:{second:06.3f}+00:00"
        previous = found[-1].digest() if found else "0" * 64
        found.append(Entry(len(found) + 1, at, mono + after, run, event, data, previous))
    return found


def read(*events: tuple[float, str, dict[str, Any]]) -> incident.Incident:
    """The incident of these events."""
    return incident.find(entries(*events), "r1")
