"""`rollback verify`: the checklist after a rollback, each line read from the live system."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rollback import progress
from rollback.commandline.options import HERE, AsJson, Directory
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import Exit, UsageError
from rollback.release import Shelf
from rollback.verification.checklist import Order, checks
from rollback.verification.line import ended, read

if TYPE_CHECKING:
    from rollback.verification.line import Check

__all__ = ["verify"]


def verify(  # noqa: PLR0913 -- the words of the command
    version: Annotated[
        str | None, typer.Argument(help="What should be running; without it, what the journal says of each part.")
    ] = None,
    *,
    browser: Annotated[bool, typer.Option("--browser", help="Look with a headless Chromium as well.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="Read this line alone; may be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Count errors from this time on (ISO 8601); else the last run's end.")
    ] = None,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Read every line of the verification checklist from the live system, and say of each what was seen.

    Whether it works: services, database, rows (against the last backup and one of a day before), indexes, constraints,
    sequences, api, user (signs in, uploads, segments, reads back), frontend (the page and all that it asks for),
    browser, tls, errors and requests (of the last ten minutes at most), targets (of Prometheus). Whether it is what it
    should be: containers, identity, images, schema, and the files: environment, compose, nginx, certificates,
    monitoring.

    The user is the account of [verify] in rollback.toml; what it leaves is taken away, from database and uploads.
    A line that lacks something it needs (an account, a backup, a browser) is *not tested*, by name.

    Exit 0: every line is so. 50: one is not so. 51: none is wrong, and one was not tested.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    operations = Operations(deployment, speaker)
    if version:
        Shelf(deployment).get(version)
    order = Order(version, _instant(since), browser)
    chosen = _chosen([*checks(deployment, operations.journal.entries(), order)], only or [])
    with progress.shown_to(speaker.working):
        redact = operations.redactor()
        lines = [replace(one, seen=redact(one.seen)) for one in read(chosen, speaker.working)]
    end = ended(lines)
    speaker.checklist(lines, end, release=version)
    if end is not Exit.DONE:
        raise typer.Exit(end)


def _chosen(there: list[Check], only: list[str]) -> list[Check]:
    names = [name for name, _ in there]
    for one in only:
        if one not in names:
            raise UsageError(f"There is no line `{one}`; there are: {', '.join(names)}.", "name one of those")
    return [check for check in there if not only or check[0] in only]


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no time.", "such as 2026-01-31T14:20:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
