"""How an incident is put into words in every document: the same figure is the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from rollback.documents.incident import Incident

__all__ = ["NOT_MEASURED", "contacts", "duration", "impact", "instant", "loss", "status"]

NOT_MEASURED = "not measured"
_MINUTE = 60

_STATUS = {
    "done": "Rollback completed: every step was proven by what the system shows",
    "put back": "Rollback FAILED; everything was put back as it was before",
    "refused": "Rollback REFUSED by a gate; nothing was changed",
    "aborted": "Rollback taken back by the operator",
    "open": "Rollback NOT FINISHED: `rollback resume` goes on, `rollback abort` takes it back",
}


def instant(at: datetime) -> str:
    """A time with its zone."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"


def status(incident: Incident) -> str:
    """How it ended, in one sentence."""
    return _STATUS[incident.outcome]


def loss(incident: Incident) -> str:
    """What data it cost, as its steps measured it."""
    found = incident.figures()
    if "rows_lost" not in found:
        return "no row was taken away by a step" if incident.outcome == "done" else "nothing"
    told = [f"{found['rows_lost']:.0f} rows lost"]
    told += [f"{found[key]:.0f} rows {text}" for key, text in _LOSSES.items() if found.get(key)]
    return f"{', '.join(told)}; each of them is listed in the run's folder"


_LOSSES = {
    "rows_as_before": "as they were before",
    "rows_back": "back that had been deleted",
}


def impact(incident: Incident) -> Iterator[tuple[str, str]]:
    """Title and text of each line of the impact."""
    yield "Duration of the rollback", duration(incident.duration)
    yield "Users served again after", duration(incident.recovery())
    measured = incident.measured()
    yield "Requests that failed at the edge", _failed(measured)
    yield "Data loss", loss(incident)


def _failed(measured: Mapping[str, object] | None) -> str:
    if measured is None:
        return NOT_MEASURED
    if "reason" in measured:
        return f"{NOT_MEASURED}: {measured['reason']}"
    text = "{failed} of {requests} from {since} to {until}".format(**measured)
    return text + (f"; the first at {measured['first']}, the last at {measured['last']}" if measured["failed"] else "")


def contacts(named: Mapping[str, str]) -> list[str]:
    """Each contact as a line."""
    return [f"{name}: {address}" for name, address in named.items()]
