"""How an incident is put into words in every document: the same figure is the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rollback.documents.incident import Incident

__all__ = ["NOT_MEASURED", "beginning", "contacts", "detected", "duration", "impact", "instant", "loss", "status"]

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
    """What data it cost, as its steps measured it; where one could not, that it is not known and why."""
    if incident.outcome in ("put back", "refused"):
        return "nothing: all was put back"
    # what an abort has taken back is not lost
    found = {} if incident.outcome == "aborted" else incident.figures()
    unknown, counted = [*_unknown(incident, found)], [*_counted(incident, found)]
    if unknown:
        return "; ".join([f"not known: {', and '.join(unknown)}", *(f"counted: {one}" for one in counted)])
    return "; ".join(counted) or ("nothing" if incident.outcome == "aborted" else "no row was taken away by a step")


def _unknown(incident: Incident, found: Mapping[str, float]) -> Iterator[str]:
    if incident.outcome == "open":
        yield "the run has not ended"
    if incident.outcome == "aborted" and incident.past_return():
        yield "what was written until it was taken back was not counted"
    if found.get("tables_unknown"):
        yield f"what {found['tables_unknown']:.0f} tables have had could not be read"
    if "seconds_missing" in found and "writes_missing" not in found:
        yield f"how many of the writes of {duration(found['seconds_missing'])} are missing"


def _counted(incident: Incident, found: Mapping[str, float]) -> Iterator[str]:
    if "rows_lost" in found:
        more = [f"{found[key]:.0f} rows {text}" for key, text in _LOSSES.items() if found.get(key)]
        listed = "; each of them is listed in the run's folder" if more or found["rows_lost"] else ""
        yield ", ".join([f"{found['rows_lost']:.0f} rows lost", *more]) + listed
    if "writes_missing" in found:
        yield _missing(found["writes_missing"], found.get("seconds_missing"))
    if found.get("rows_kept"):
        where = f"in the schemas of the database whose names end in `_{incident.run}`"
        back = _BACK.get(incident.procedure, "")
        yield f"no row for good: {found['rows_kept']:.0f} rows, or values of them, are kept {where}{back}"


def _missing(writes: float, seconds: float | None) -> str:
    if not writes:
        return "no acknowledged request that changes something is missing"
    within = "" if seconds is None else f", of {duration(seconds)}"
    return f"at most {writes:.0f} acknowledged requests that change something are missing{within}"


_LOSSES = {
    "rows_as_before": "as they were before",
    "rows_back": "back that had been deleted",
}
#: How what is kept comes back once the run has ended.
_BACK = {
    "migration": "; `rollback migration forward VERSION` brings them back",
    "schema": "; they are copied back from there by hand",
}


def impact(incident: Incident, objective: float | None = None) -> Iterator[tuple[str, str]]:
    """Title and text of each line of the impact.

    Args:
        incident: the run.
        objective: seconds to recovery that rollback.toml names for its procedure; None where it names none.
    """
    yield "Detected", detected(incident)
    yield "Duration of the rollback", duration(incident.duration)
    yield "Users served again after", duration(incident.recovery())
    yield "Objective", _held_against(incident.recovery(), objective)
    measured = incident.measured()
    yield "Downtime", _downtime(measured)
    yield "Requests that failed at the edge", _failed(measured)
    yield "Affected users", f"{NOT_MEASURED}: the edge's log counts requests, not people"
    yield "Data loss", loss(incident)


def detected(incident: Incident) -> str:
    """Since when it could be seen, and by whom or by what it was."""
    told = []
    if incident.watched is not None:
        told.append(f"the watch decided at {instant(_utc(incident.watched.at))}: {incident.watched.data['reason']}")
    told.append(_first(incident))
    if incident.reported is not None:
        told.append(f"recorded by {incident.reported['by']} at {_moment(incident.reported['at'], incident)}")
    return "; ".join(told)


def _first(incident: Incident) -> str:
    """Of the requests that failed at the edge before the command."""
    measured = incident.measured()
    if measured is None or "reason" in measured:
        return f"first failed request {NOT_MEASURED}"
    if not measured["requests"]:
        return f"first failed request {NOT_MEASURED}: the edge's log has no request"
    first, since = measured["first"], measured["since"]
    # a log is read in whole seconds
    if first and _utc(first) <= incident.began:
        return f"first failed request at {_moment(first, incident)}, in a log that is read from {instant(_utc(since))}"
    return f"no request failed before the rollback began, in a log that is read from {instant(_utc(since))}"


def _moment(at: str, incident: Incident) -> str:
    """A time, and how long before the beginning it was."""
    when = _utc(at)
    before = duration(max(0.0, (incident.began - when).total_seconds()))
    return f"{instant(when)}, {before} before {beginning(incident)}"


def beginning(incident: Incident) -> str:
    """With what a run begins, from which its seconds count."""
    return "the command" if incident.watched is None else "the decision of the watch"


def _utc(at: str) -> datetime:
    """As the journal and the edge's log write a time; the log does not name its zone."""
    found = datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _held_against(recovery: float | None, objective: float | None) -> str:
    if objective is None:
        return "none in rollback.toml for this procedure"
    if recovery is None:
        return f"{duration(objective)}; {NOT_MEASURED} against it"
    return f"{duration(objective)}: {'met' if recovery <= objective else 'MISSED'}"


def _downtime(measured: Mapping[str, Any] | None) -> str:
    """What the log of the edge can say of it: between the first and the last request that failed."""
    if measured is None or "reason" in measured or not measured["requests"]:
        return NOT_MEASURED
    if not measured["failed"]:
        return "no request failed at the edge"
    took = (_utc(measured["last"]) - _utc(measured["first"])).total_seconds()
    least = "at least " if measured["first"] == measured["since"] else ""
    return f"{least}{duration(took)} from the first to the last request that failed at the edge"


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
