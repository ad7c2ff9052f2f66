"""`rollback preflight`: what is to be recorded before a rollback, and whom to tell."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback import lock
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.documents import severity as severities
from rollback.documents.incident import SCENARIOS
from rollback.operations import Operations
from rollback.outcome import Exit, UsageError
from rollback.secrets import of_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.documents.severity import Derived

__all__ = ["preflight"]

_UNSAID = "not described"


@dataclass(frozen=True)
class _Said:
    """What people say of the incident; empty where they say nothing."""

    description: str
    affected: list[str]
    errors: list[str]
    severity: str

    def asked(self, seen: Derived, say: Callable[[str], None]) -> _Said:
        """The same with what is missing asked for at the terminal; an empty answer, or its end, is an answer."""
        say(f"seen: {'; '.join(seen.reasons)}")
        return _Said(
            self.description or _answer("What is wrong? "),
            self.affected or _words(_answer(f"Which services? [{', '.join(seen.affected) or 'none'}] ")),
            self.errors or list(_lines("Error messages, one a line; an empty line ends: ")),
            self.severity or _severity(seen.severity),
        )

    def told(self, seen: Derived) -> dict[str, str | list[str]]:
        """With what was seen where nothing is said."""
        because = "; ".join(seen.reasons)
        corrected = self.severity not in ("", seen.severity)
        return {
            "description": self.description or _UNSAID,
            "affected": self.affected or seen.affected,
            "errors": self.errors,
            "severity": self.severity or seen.severity,
            "derived": seen.severity,
            "because": f"said by the operator; seen: {because}" if corrected else because,
        }


def _answer(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""


def _lines(question: str) -> Iterator[str]:
    while line := _answer(question):
        yield line
        question = "> "


def _words(text: str) -> list[str]:
    return [one for one in text.replace(",", " ").split() if one]


def _severity(seen: str) -> str:
    while (said := _answer(f"Severity: {', '.join(SCENARIOS)}? [{seen}] ")) not in ("", *SCENARIOS):
        continue
    return said


def preflight(  # noqa: PLR0913 -- the words of the command
    *,
    description: Annotated[str, typer.Option("--description", "-m", help="What is wrong, in a sentence.")] = "",
    affected: Annotated[list[str] | None, typer.Option("--affected", help="A service; may be repeated.")] = None,
    error: Annotated[list[str] | None, typer.Option("--error", help="An error message; may be repeated.")] = None,
    severity: Annotated[
        str, typer.Option("--severity", help="minor, major or critical; else derived from what is seen.")
    ] = "",
    backup: Annotated[bool, typer.Option("--backup/--no-backup", help="Take a safety backup.")] = True,
    notify: Annotated[bool, typer.Option("--notify/--no-notify", help="Tell people that a rollback starts.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, on a terminal either.")] = False,
    plan: PlanOnly = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Record an incident before a rollback: what is wrong, and the state in which the deployment is found.

    One folder, `runs/RUN` in the state folder: `record.md`, the state of every service, its last log lines, versions,
    migration, disk, load, connections, and a safety backup that has been read to its end. Known values of env files,
    passwords in URLs, tokens, cookies, hashes and private keys are masked, in logs too: it can be handed on.

    On a terminal what was not said is asked for; without one nothing is asked. The severity follows from what is seen
    (critical: nobody is served, or the data cannot be reached; major: schema, constraints, unstable infrastructure;
    minor: the rest) and can be corrected: a breach of security shows nowhere. Who is to be told is told that a rollback
    starts ([notify]). The post-mortem of the rollback that follows has what was said here.

    Exit 0: recorded. 50: recorded, but the backup could not be taken. 20: another command is at work, or a run is open.
    """
    if severity and severity not in SCENARIOS:
        raise UsageError(f"`{severity}` is no severity.", f"say {', '.join(SCENARIOS)}")
    deployment, speaker = Deployment.load(directory), Speaker(as_json, assume_yes=True)
    operations = Operations(deployment, speaker)
    operations.no_open_run()
    seen = severities.derived(severities.look(deployment))
    asks = sys.stdin.isatty() and not (yes or as_json or plan)
    said = _Said(description, affected or [], error or [], severity)
    told = (said.asked(seen, speaker.say) if asks else said).told(seen)

    def facts(run: str) -> dict[str, Any]:
        redact = of_deployment(deployment).thorough
        told_safely = {key: redact(one) if isinstance(one, str) else [*map(redact, one)] for key, one in told.items()}
        return {"run": run, "by": lock.who(), "backup": backup, "notify": notify, **told_safely}

    if plan:
        speaker.plan(operations.planned(facts, "preflight"))
        return
    _carry_out(operations, speaker, facts)


def _carry_out(operations: Operations, speaker: Speaker, facts: Callable[[str], dict[str, Any]]) -> None:
    started = time.monotonic()
    done = operations.carry_out(facts, "preflight", lambda _: False)
    folder = operations.deployment.run_folder(done.run)
    missed = [one["step"] for one in speaker.steps if one["event"] == "missed"]
    speaker.say(done.notes[0])
    speaker.say(f"recorded in {folder} (run {done.run})")
    for one in missed:
        speaker.say(f"warning: not so: {one}")
    if operations.deployment.settings.notify.targets_file is None and done.tells:
        speaker.say("nobody was told: rollback.toml has no `targets_file` in [notify]; `rollback notify --print`")
    end = Exit.INCONCLUSIVE if missed else Exit.DONE
    about = {
        key: done.arguments[key] for key in ("description", "severity", "derived", "because", "affected", "errors")
    }
    seconds = round(time.monotonic() - started, 3)
    speaker.document(end, run=done.run, folder=str(folder), **about, steps=speaker.steps, seconds=seconds)
    if end is not Exit.DONE:
        raise typer.Exit(end)
