"""The pre-rollback record as people read it: the incident, and the state in which the deployment was found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback.documents import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["written"]


def written(incident: Mapping[str, Any], found: Mapping[str, Any], name: str) -> str:
    """The document, as Markdown.

    Args:
        incident: what people said of it, and how bad it is.
        found: what Evidence.take read.
        name: of the deployment.
    """
    parts = (_head(incident, name), _services(found), _versions(found), _database(found), _host(found), _errors(found),
             _files(found))  # fmt: skip
    return "\n".join(line for part in parts for line in (*part, ""))


def _head(incident: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"# Before a rollback of {name}, {words.instant(datetime.now(UTC))}"
    yield ""
    yield f"- **Issue**: {incident['description']}"
    yield f"- **Severity**: {incident['severity']} ({incident['because']})"
    yield f"- **Affected services**: {', '.join(incident['affected']) or 'none that can be seen'}"
    yield f"- **By**: {incident['by']}, run `{incident['run']}`"
    yield from (f"- **Error**: `{one}`" for one in incident["errors"])


def _services(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Services", "", "| service | container | state | restarts | image |", "|---|---|---|---|---|")
    for one in found["containers"]:
        state = (one["health"] or "running") if one["running"] else "NOT RUNNING"
        yield f"| {one['service']} | {one['name']} | {state} | {one['restarts']} | {one['image'][:19]} |"


def _versions(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Versions", "")
    for key, value in found["versions"].items():
        said = (
            value if not isinstance(value, dict) else _listed({name: it or "no answer" for name, it in value.items()})
        )
        yield f"- {key}: {said}"


def _database(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Database and connections", "")
    there = found["database"]
    for one in there.get("connections", ()):
        who = f"{one['role']} ({one['application'] or 'no name'}), {one['state']}"
        yield f"- {one['connections']} of {who}, oldest transaction {one['oldest_s']} s, {one['waiting']} wait"
    yield f"- {_listed({key: value for key, value in there.items() if key != 'connections'})}"
    yield f"- edge: {_listed(found['edge'])}"


def _host(found: Mapping[str, Any]) -> Iterator[str]:
    host = found["host"]
    yield from ("## Host", "")
    yield f"- load {', '.join(map(str, host['load']))} on {host['cores']} cores; GiB: {_listed(host['memory'])}"
    yield from (f"- disk of {name}: {_listed(room)}" for name, room in host["disks"].items())


def _errors(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Last errors in the logs", "")
    yield from (f"- {name}: `{line}`" for name, lines in found["errors"].items() for line in lines)
    if not found["errors"]:
        yield "none in the last lines of any container"


def _files(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## In this folder", "")
    yield "- `state.json`: all of the above; `incident.json`: what was said of it; `logs/`: last lines of each service"
    yield "- `safety.dump`: the database, if it could be dumped (`pg_restore`); it holds users' data"
    for name, variables in found["variables"].items():
        yield f"- variables of {name}: {', '.join(variables)}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
