"""Options that mean the same in every command, and how every mutating procedure is carried out and told."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rollback.outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rollback.console import Speaker
    from rollback.operations import Operations

__all__ = [
    "HERE",
    "AsJson",
    "Directory",
    "Encrypt",
    "NameOfBackup",
    "PlanOnly",
    "Yes",
    "carry_out",
    "report",
    "understood",
]

Directory = Annotated[
    Path, typer.Option("-C", "--directory", help="Checkout of the deployment: the folder with rollback.toml.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output; progress on standard error.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Print what would change and why; touch nothing.")]
NameOfBackup = Annotated[str, typer.Argument(metavar="BACKUP", help="An id from `rollback backup list`, or `latest`.")]
Encrypt = Annotated[bool, typer.Option("--encrypt", help="Seal it to the `recipients` of rollback.toml.")]
HERE = Path()


def understood(command: str, first: str) -> type[TyperGroup]:
    """A group in which one command may be left unsaid where the first word looks like its own (a pattern)."""

    class Understood(TyperGroup):
        """Puts the word in."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            """`rollback migration 012` means `rollback migration back 012`."""
            if args and re.fullmatch(first, args[0]):
                args = [command, *args]
            return super().parse_args(ctx, args)

    return Understood


def carry_out(  # noqa: PLR0913 -- what every procedure brings along
    operations: Operations,
    speaker: Speaker,
    procedure: str,
    survey: Callable[[str], dict[str, Any]],
    *,
    plan_only: bool,
    end: Exit = Exit.DONE,
) -> None:
    """Plan a procedure, and unless only the plan is wanted ask, run and tell how it ended; `end`: the exit code."""
    if plan_only:
        speaker.plan(operations.planned(survey, procedure))
        return
    started = time.monotonic()
    done = operations.carry_out(survey, procedure, lambda found: speaker.confirm(lambda: speaker.tell_plan(found)))
    for note in done.notes:
        speaker.say(f"note: {note}")
    report(speaker, done.run, done.summary, started, notes=done.notes, end=end)


def report(  # noqa: PLR0913 -- what there is to say
    speaker: Speaker, run: str, summary: str, started: float, notes: Sequence[str] = (), *, end: Exit = Exit.DONE
) -> None:
    """The end of a run, for people and for machines."""
    seconds = round(time.monotonic() - started, 3)
    speaker.say(f"done in {seconds:.1f} s: {summary} (run {run})")
    speaker.document(end, run=run, summary=summary, seconds=seconds, steps=speaker.steps, notes=notes)
