"""The `rollback` command: one subcommand a procedure, each of them thin."""

from __future__ import annotations

import io
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rollback import __version__
from rollback.commandline import later
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, report
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import Exit, Failed, Stop, of_the_database
from rollback.procedures import survey

if TYPE_CHECKING:
    from types import FrameType

    from rollback.journal import Entry

__all__ = ["app", "main"]

EXITS = """Exit codes: 0 done, 10 nothing to do, 20 refused by a gate (nothing changed), 30 failed and put back as it
was, 40 failed and NOT put back, 50 inconclusive, 51 not tested, 60 watched and rolled back, 130 interrupted,
2 wrong usage."""

#: Every command as help shows them; those with a place are imported when they are typed, the others are here.
COMMANDS = {
    "Beforehand": {
        "release": "rollback.commandline.release:releases",
        "backup": "rollback.commandline.backup:app",
        "config": "rollback.commandline.config:app",
        "preflight": "rollback.commandline.preflight:preflight",
    },
    "The application": {
        "application": "",
        "switch": "rollback.commandline.switch:switch",
        "watch": "rollback.commandline.watch:watch",
    },
    "The database": {
        "migration": "rollback.commandline.migration:migrations",
        "database": "rollback.commandline.database:databases",
        "schema": "rollback.commandline.schema:schema",
        "rows": "rollback.commandline.rows:rows",
    },
    "Configuration and infrastructure": {
        "environment": "rollback.commandline.configuration:environment",
        "nginx": "rollback.commandline.configuration:nginx",
        "certificates": "rollback.commandline.configuration:certificates",
        "compose": "rollback.commandline.configuration:compose",
        "monitoring": "rollback.commandline.configuration:monitoring",
        "volume": "rollback.commandline.volume:app",
    },
    "Emergencies": {
        "recover": "rollback.commandline.recovery:recover",
        "contain": "rollback.commandline.contain:containments",
    },
    "A run that was interrupted": {"resume": "", "abort": ""},
    "Afterwards": {
        "verify": "rollback.commandline.verification:verify",
        "notify": "rollback.commandline.documents:notify",
        "postmortem": "rollback.commandline.documents:write_postmortem",
        "history": "",
    },
}

app = typer.Typer(
    name="rollback",
    cls=later.group(COMMANDS),
    help="Put a SpherosegV4 deployment back as a recorded release had it, with proof of every step.\n\n" + EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def application(
    version: Annotated[str, typer.Argument(help="A recorded release, or `last-good`.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Put backend, ml and frontend and their environment back as VERSION had them, without stopping users.

    The target starts beside what runs, proves itself, takes over at the edge; then the rest is drained, stopped,
    kept and replaced. Killed at any point, `rollback resume` goes on and `rollback abort` takes it back.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)

    def surveyed(run: str) -> dict[str, object]:
        return survey.survey(deployment, version, run)

    carry_out(operations, speaker, "application", surveyed, plan_only=plan)


@app.command()
def resume(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Go on with a run that was interrupted; what is done already is not done again."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    if plan:
        speaker.plan(operations.open_plan())
        return
    started = time.monotonic()
    done = operations.resume(lambda found: speaker.confirm(lambda: speaker.tell_plan(found)))
    report(speaker, done.run, done.summary, started)


@app.command()
def abort(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Take back a run that was interrupted, newest step first."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    if plan:
        speaker.way_back(operations.way_back())
        return
    started = time.monotonic()
    done = operations.abort(lambda _: speaker.confirm(lambda: speaker.tell_way_back(operations.way_back())))
    report(speaker, done.run, f"taken back: {done.summary}", started)


@app.command()
def history(
    *,
    only_verify: Annotated[
        bool, typer.Option("--verify", help="Say only whether the chain of its entries is unbroken.")
    ] = False,
    anchor: Annotated[
        str | None,
        typer.Option(help="Hash from a post-mortem: does the journal still begin with all that it was written from?"),
    ] = None,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """What was done to this deployment, from the journal.

    An entry that was changed, put in, or taken out from among others breaks the chain, which is an error. Entries that
    were cut off at the end, and a journal that was written anew as a whole, break no chain: a hash that is kept
    elsewhere shows them, with --anchor. Each post-mortem ends with one, and --verify tells that of the last entry.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    journal = Operations(deployment, speaker).journal
    entries = journal.entries()
    if only_verify or anchor:
        _whole(speaker, entries, anchor)
        return
    for one in entries:
        what = one.data.get("step") or one.data.get("summary") or one.data.get("version") or ""
        seen = one.data.get("seen") or one.data.get("reason") or one.data.get("outcome") or ""
        speaker.say(f"{one.at}  {one.run}  {one.event:8} {what} {seen}".rstrip())
    if journal.torn():
        speaker.say("warning: the last line was cut off while it was written; what it was to say is lost")
    elif not entries:
        speaker.say("nothing yet")
    speaker.document(entries=[one.__dict__ for one in entries])


def _whole(speaker: Speaker, entries: list[Entry], anchor: str | None) -> None:
    """Tell that every line matches the chain, which reading them has shown, and that it holds the anchor.

    Raises:
        Failed: no entry has the anchor's hash: it was cut off, or the whole journal was written anew.
    """
    hashes = [one.digest() for one in entries]
    if anchor and anchor not in hashes:
        raise Failed(
            f"No entry of the journal has the hash {anchor}: it is not the journal which that was taken from, or it was"
            " cut off before it.",
            "keep both as evidence, and find out who wrote to it",
        )
    head = hashes[-1] if hashes else "none"
    speaker.say(f"unbroken: {len(entries)} entries, the last one has the hash {head}")
    speaker.say(_proven(hashes, anchor))
    speaker.document(entries=len(entries), head=head, anchor=anchor)


def _proven(hashes: list[str], anchor: str | None) -> str:
    """What that does not say."""
    if anchor is None:
        return "whether entries were cut off at the end only a hash that is kept elsewhere can show: --anchor HASH"
    number = hashes.index(anchor) + 1
    return f"entries 1 to {number} are those of the anchor; of any cut off after entry {len(hashes)} it says nothing"


@app.callback(invoke_without_command=True)
def _top(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


_signals: list[int] = []


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    _signals.append(number)
    raise KeyboardInterrupt


def _run() -> None:
    """The command; what the file system or the database refuses is a sentence as well.

    Raises:
        Failed: a file or folder of the state, or the output, cannot be read or written; the database is gone.
    """
    try:
        app()
    except SystemExit as end:
        # by the parser, which has said why, and which turns an interruption into a number
        if end.code == Exit.INTERRUPTED:
            raise KeyboardInterrupt from end
        if end.code == Exit.USAGE:
            _ended(Exit.USAGE, "The words of the command are wrong; standard error says which.", "--help")
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failed(
            f"{where}{error.strerror or error}.", "mend that, then `rollback history` says what stands"
        ) from error
    except Exception as error:
        if not of_the_database(error):
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Failed(f"The database ended it: {said}.", "is it running? `rollback history` says what stands") from error


def main() -> None:
    """Run the command; an orderly stop becomes one sentence on standard error and its exit code."""
    _signals.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # a path with letters that the terminal does not know is told, not fallen over
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except Stop as stop:
        # Ctrl-C ends docker's programs as well: what they say of their end is not the reason
        end = Exit.INTERRUPTED if _signals and stop.exit is Exit.INCONCLUSIVE else stop.exit
        sys.stderr.write("interrupted\n" if end is Exit.INTERRUPTED else f"{stop.word}: {stop}\n")
        _ended(end, stop.found, stop.next_step)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        _ended(Exit.INTERRUPTED, "Interrupted.", "`rollback history` says what stands")


def _ended(end: Exit, found: str, next_step: str) -> NoReturn:
    """A machine that asked for a document gets one, whatever the end."""
    Speaker("--json" in sys.argv).document(end, found=found, next=next_step)
    sys.exit(int(end))
