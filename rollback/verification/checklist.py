"""The whole checklist after a rollback, in the runbook's order; what is cheap comes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from rollback.parts.monitoring import Monitoring
from rollback.release import Shelf
from rollback.verification import database, drift, logs, page, rows, schema, services
from rollback.verification.browser import browser
from rollback.verification.expected import GROUPS, IMAGES, expected, last_end
from rollback.verification.line import NotTested
from rollback.verification.targets import targets
from rollback.verification.tls import tls
from rollback.verification.visit import user

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.deployment import Deployment
    from rollback.journal import Entry
    from rollback.release import Release
    from rollback.verification.line import Check, Seen

__all__ = ["Order", "checks"]


@dataclass(frozen=True)
class Order:
    """What is to be verified.

    Attributes:
        version: what all parts should be as; None for what the journal says of each.
        since: from when on errors count; None for the end of the last run.
        browser: look with a real browser as well.
    """

    version: str | None = None
    since: datetime | None = None
    browser: bool = False


def checks(deployment: Deployment, entries: Sequence[Entry], order: Order) -> Iterator[Check]:
    """Every line that this deployment has, in order.

    Raises:
        Refused: there is no such release.
    """
    shelf = Shelf(deployment)
    groups = dict.fromkeys(GROUPS, order.version) if order.version else expected(entries)
    releases = {name: shelf.get(name) for name in set(groups.values())}
    yield from _sound(deployment)
    if order.browser:
        yield "browser", partial(browser, deployment)
    if deployment.settings.edge.https_port is not None:
        yield "tls", partial(tls, deployment)
    yield from _lately(deployment, order.since or _instant(last_end(entries)))
    if deployment.settings.monitoring.files:
        yield "targets", partial(targets, Monitoring.beside(deployment))
    yield "containers", partial(drift.containers, deployment)
    if not releases:
        yield "release", _none_recorded
        return
    yield from _as_recorded(deployment, {group: releases[name] for group, name in groups.items()})


def _sound(deployment: Deployment) -> Iterator[Check]:
    yield "services", partial(services.services, deployment)
    yield "database", partial(database.database, deployment)
    yield "rows", partial(rows.rows, deployment)
    yield "indexes", partial(database.indexes, deployment)
    yield "constraints", partial(database.constraints, deployment)
    yield "sequences", partial(database.sequences, deployment)
    yield "api", partial(services.health, deployment)
    yield "user", partial(user, deployment)
    yield "frontend", partial(page.frontend, deployment)


def _lately(deployment: Deployment, since: datetime | None) -> Iterator[Check]:
    yield "errors", partial(logs.errors, deployment, since)
    yield "requests", partial(logs.requests, deployment, since or datetime.min.replace(tzinfo=UTC))


def _as_recorded(deployment: Deployment, groups: dict[str, Release]) -> Iterator[Check]:
    if IMAGES in groups:
        yield "identity", partial(drift.identity, deployment, groups[IMAGES])
        yield "images", partial(drift.images, deployment, groups[IMAGES])
        yield "schema", partial(schema.schema, deployment, groups[IMAGES])
    for group in GROUPS:
        if group != IMAGES and group in groups and _named(deployment, group):
            yield group, partial(drift.part, deployment, groups[group], group)


def _named(deployment: Deployment, group: str) -> bool:
    """Whether rollback.toml says that there are such files."""
    return bool(getattr(deployment.settings.parts, group)) if group in drift.TREES else True


def _none_recorded() -> Seen:
    raise NotTested("nothing was recorded that this could be compared with", "`rollback release record VERSION`")


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
