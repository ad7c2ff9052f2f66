"""`rollback migration check`: what can be said about migrations without touching a deployment."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import psycopg
import typer

from rollback import settings
from rollback.commandline.options import HERE, AsJson, Directory
from rollback.commandline.verdicts import tell
from rollback.console import Speaker
from rollback.database.migrations.bench import RESERVED, Bench
from rollback.database.migrations.check import Checker
from rollback.database.migrations.find import find, shown
from rollback.database.scratch import DEFAULT_IMAGE, scratch
from rollback.deployment import Deployment
from rollback.engine import Engine
from rollback.outcome import Exit, Failed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.migrations.verdict import Report

__all__ = ["check"]

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


def check(  # noqa: PLR0913 -- the words of the command
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of numbered SQL files, e.g. 001_users.sql.")],
    *,
    rollbacks: Annotated[
        Path | None, typer.Option("--rollbacks", help="Folder of rollbacks, if not beside or in rollback/.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="SQL loaded before the first migration, e.g. of pg_dump -s.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="SQL with rows, loaded once its tables are there; repeat it. Else rows are made."),
    ] = None,
    image: Annotated[str | None, typer.Option("--image", help="Image of the scratch PostgreSQL.")] = None,
    database: Annotated[str | None, typer.Option("--database", help="Name of the database.")] = None,
    history: Annotated[str | None, typer.Option("--history", help="Table in which migrations are recorded.")] = None,
    seconds: Annotated[int, typer.Option("--timeout", min=1, help="Longest time for one statement, in seconds.")] = 300,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Take each migration of DIR up, down and up again on a scratch PostgreSQL, and say what came back.

    For each: does it apply, is its rollback found, does it run, is the schema back exactly, are the rows back, does it
    go up again to the same result, and which statements are dangerous. A failure never hides the next one.

    No deployment is needed or touched. With a rollback.toml in the folder of -C its image, database and history are
    the defaults; otherwise postgres:15, `spheroseg` and `schema_migrations`.

    Example: rollback migration check packages/backend/migrations --rollbacks scripts/rollback

    Exit codes: 0 all can be taken back, 20 at least one cannot, 50 rows of --data could not be loaded or the
    scratch server failed, 2 wrong usage.
    """
    speaker, started = Speaker(as_json), time.monotonic()
    there = _deployment(directory)
    found = find(folder, rollbacks)
    files = [_file(one) for one in (*([schema] if schema else []), *(data or []))]
    name = _database(database or (there.settings.database.name if there else "spheroseg"))
    table = _history(history or (there.settings.database.history if there else "schema_migrations"))
    with (
        _inconclusive(),
        scratch(Engine(directory.resolve()), image or _image(there)) as server,
        Bench.opened(server, name, table, seconds) as bench,
    ):
        checker = Checker(bench, found, folder, files[0] if schema else None, files[1 if schema else 0 :])
        report = checker.run(lambda one: speaker.working(f"{one.migration.id} is judged"))
    tell(speaker, report)
    speaker.say(f"{len(report.checked)} migrations in {time.monotonic() - started:.1f} s")
    speaker.document(_exit(report), **report.as_json())
    if _exit(report):
        raise typer.Exit(_exit(report))


@contextmanager
def _inconclusive() -> Iterator[None]:
    """What the scratch server says in the middle is a sentence as well."""
    try:
        yield
    except psycopg.Error as error:
        told = " ".join(str(error).split())
        raise Failed(f"The scratch PostgreSQL ended the check: {told}.") from error


def _exit(report: Report) -> Exit:
    if report.irreversible:
        return Exit.REFUSED
    return Exit.INCONCLUSIVE if report.unloaded else Exit.DONE


def _deployment(directory: Path) -> Deployment | None:
    return Deployment.load(directory) if (directory / settings.FILE).is_file() else None


def _image(deployment: Deployment | None) -> str:
    """What the database service of the deployment runs."""
    if deployment is None:
        return DEFAULT_IMAGE
    service = deployment.settings.database.service
    found = deployment.config(deployment.compose)["services"].get(service, {}).get("image")
    if not found:
        raise UsageError(f"The service `{service}` names no image.", "name one with --image")
    return str(found)


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"There is no file {shown(path)}.", "name an SQL file")
    return path


def _database(name: str) -> str:
    if name in RESERVED or not name or "\0" in name:
        raise UsageError(f"`{name}` cannot be the name of the database.", "name it as the deployment does")
    return name


def _history(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise UsageError(f"`{name}` cannot be the name of the history.", "a table, e.g. schema_migrations")
    return name if "." in name else f"public.{name}"
