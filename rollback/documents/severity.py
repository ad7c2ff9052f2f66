"""How bad it is, by the runbook's three scenarios, from what is seen; people know more and correct it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.database import compatibility
from rollback.documents.incident import CRITICAL, MAJOR, MINOR
from rollback.outcome import Stop
from rollback.verification import database

if TYPE_CHECKING:
    from rollback.deployment import Container, Deployment

__all__ = ["Derived", "Seen", "derived", "look"]

_RESTARTS = 3


@dataclass(frozen=True)
class Seen:
    """What decides.

    Attributes:
        edge: nginx runs.
        database: why the database cannot be used; empty where it can.
        released: the released services, each with whether it is well.
        unstable: services that are not released and are not well, or were restarted again and again.
        schema: why what runs cannot work with the schema; empty where it can.
        broken: what the database does not enforce or cannot use any more.
        page: status of the page at the edge, 0 where nothing answers.
        api: status of the API's health at the edge.
    """

    edge: bool
    database: str
    released: dict[str, bool]
    unstable: list[str]
    schema: str
    broken: list[str]
    page: int
    api: int


@dataclass(frozen=True)
class Derived:
    """A severity, and what it follows from."""

    severity: str
    reasons: list[str]
    affected: list[str]


def derived(seen: Seen) -> Derived:
    """The scenario that fits; the worst of what is seen counts.

    Minor: application errors, configuration, a service that does not start, data intact. Major: migrations, damaged
    data, infrastructure that is not stable. Critical: nobody is served, or the data cannot be reached. A breach of
    security shows in none of this: only people can say so.
    """
    ill = [role for role, well in seen.released.items() if not well]
    found = {CRITICAL: list(_critical(seen, ill)), MAJOR: list(_major(seen)), MINOR: list(_minor(seen, ill))}
    severity = next((one for one in (CRITICAL, MAJOR, MINOR) if found[one]), MINOR)
    affected = [*ill, *seen.unstable, *(["edge"] if not seen.edge else []), *(["database"] if seen.database else [])]
    told = [reason for reasons in found.values() for reason in reasons]
    return Derived(severity, told or ["nothing that is wrong can be seen from here"], list(dict.fromkeys(affected)))


def _critical(seen: Seen, ill: list[str]) -> list[str]:
    told = [] if seen.edge else ["the edge does not run: nobody is served"]
    told += [f"the database cannot be used: {seen.database}"] if seen.database else []
    return told + (["no released service is well"] if seen.released and len(ill) == len(seen.released) else [])


def _major(seen: Seen) -> list[str]:
    told = [seen.schema] if seen.schema else []
    told += [f"the database: {one}" for one in seen.broken]
    return told + [f"{one} is not stable" for one in seen.unstable]


def _minor(seen: Seen, ill: list[str]) -> list[str]:
    told = [f"{role} is not well" for role in ill]
    told += [f"the page answers {seen.page or 'nothing'}"] if seen.page != 200 else []  # noqa: PLR2004 -- HTTP
    return told + ([f"the API's health answers {seen.api or 'nothing'}"] if seen.api != 200 else [])  # noqa: PLR2004


def look(deployment: Deployment) -> Seen:
    """Read it from the live system; what does not answer is a part of what is seen."""
    table, there = deployment.settings, [one for one in deployment.containers() if not one.one_off]
    released = {role: _well(there, one.service) for role, one in table.services.items()}
    names = {one.service for one in table.services.values()}
    apart = {table.edge.service, table.database.service}
    unstable = sorted({one.service for one in there if one.service not in names and _shaky(one, apart)})
    edge = any(one.running for one in there if one.service == table.edge.service)
    try:
        applied = deployment.migrations()
        broken = [text for ok, text in (database.indexes(deployment), database.constraints(deployment)) if not ok]
        ill = ""
    except Stop as stop:
        applied, broken, ill = [], [], stop.found
    schema = _schema(deployment, applied) if edge and not ill else ""
    page, api = (_status(deployment, path) if edge else 0 for path in ("/", _health(deployment)))
    return Seen(edge, ill, released, unstable, schema, broken, page, api)


def _well(there: list[Container], service: str) -> bool:
    mine = [one for one in there if one.service == service]
    return bool(mine) and all(one.well for one in mine)


def _shaky(one: Container, apart: set[str]) -> bool:
    """The edge and the database are judged by whether they answer."""
    return one.restarts >= _RESTARTS or (not one.well and one.service not in apart)


def _schema(deployment: Deployment, applied: list[str]) -> str:
    try:
        return compatibility.fit(deployment, applied[-1] if applied else "").dependent.replace("will be at", "is at")
    except Stop:  # the edge cannot be asked: that nothing answers is said of the page
        return ""


def _health(deployment: Deployment) -> str:
    paths = [one.health for one in deployment.settings.services.values() if one.upstream]
    return next((one for one in paths if one.startswith("/api")), "/")


def _status(deployment: Deployment, path: str) -> int:
    try:
        return deployment.through_edge(path).status
    except Stop:
        return 0
