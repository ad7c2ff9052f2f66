"""The `rollback` command: one subcommand a procedure, each of them thin."""

from __future__ import annotations

import io
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import psycopg
import typer

from rollback import __version__, lock
from rollback.commandline.backup import app as backups
from rollback.commandline.config import app as configs
from rollback.commandline.configuration import certificates, compose, environment, nginx
from rollback.commandline.database import databases
from rollback.commandline.documents import notify, write_postmortem
from rollback.commandline.migration import migrations
from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, report
from rollback.commandline.recovery import full, recover
from rollback.commandline.rows import rows
from rollback.commandline.schema import schema
from rollback.commandline.switch import switch
from rollback.commandline.watch import watch
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.documents.verification import verify as verified
from rollback.operations import Operations
from rollback.outcome import Exit, Failed, Stop
from rollback.procedures import application as application_procedure
from rollback.procedures import recording, survey
from rollback.release import Shelf

if TYPE_CHECKING:
    from types import FrameType

    from rollback.journal import Entry

__all__ = ["app", "main"]

EXITS = """Exit codes: 0 done, 10 nothing to do, 20 refused by a gate (nothing changed), 30 failed and put back as it
was, 40 failed and NOT put back, 50 inconclusive, 60 watched and rolled back, 130 interrupted,
2 wrong usage."""

app = typer.Typer(
    name="rollback",
    help="Put a SpherosegV4 deployment back as a recorded release had it, with proof of every step.\n\n" + EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
releases = typer.Typer(no_args_is_help=True, help="Record releases that are seen to work, and see what is there.")
app.add_typer(releases, name="release")
app.add_typer(migrations, name="migration")
backups.command()(full)
app.add_typer(backups, name="backup")
app.add_typer(configs, name="config")
app.add_typer(databases, name="database")
app.add_typer(rows, name="rows")
app.command()(certificates)
app.command()(compose)
app.command()(environment)
app.command()(nginx)
app.command()(recover)
app.command()(schema)
app.command()(switch)
app.command()(watch)
app.command()(notify)
app.command("postmortem")(write_postmortem)


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

    carry_out(operations, speaker, application_procedure.NAME, surveyed, plan_only=plan)


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
def verify(
    version: Annotated[str | None, typer.Argument(help="What should be running; without it only soundness.")] = None,
    *,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Read every line of the verification checklist from the live system; exit 50 when one is not so."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    release = Shelf(deployment).get(version) if version else None
    lines = verified(deployment, release)
    speaker.checklist(lines, release=version)
    if not all(line.ok for line in lines):
        raise typer.Exit(Exit.INCONCLUSIVE)


@app.command()
def history(
    *,
    only_verify: Annotated[bool, typer.Option("--verify", help="Say only whether the journal is whole.")] = False,
    anchor: Annotated[
        str | None, typer.Option(help="Hash from a post-mortem: is the journal still what it was written from?")
    ] = None,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """What was done to this deployment, from the journal; a journal that was tampered with is an error."""
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
        Failed: no entry has the anchor's hash: the whole journal was written anew.
    """
    hashes = [one.digest() for one in entries]
    if anchor and anchor not in hashes:
        raise Failed(
            f"No entry of the journal has the hash {anchor}: it is not the journal which that was taken from.",
            "keep both as evidence, and find out who wrote to it",
        )
    head = hashes[-1] if hashes else "none"
    speaker.say(f"whole: {len(entries)} entries, the last one has the hash {head}")
    speaker.document(entries=len(entries), head=head, anchor=anchor)


@releases.command("record")
def release_record(
    version: Annotated[str, typer.Argument(help="Name of the release, e.g. v4.0.0; also its git tag.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Record what runs now as VERSION, after verifying it; its images are kept from pruning."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    told = f"record what runs now as {version}, after the checklist has passed; its images are kept from pruning"
    if plan:
        lines = recording.sound(deployment, operations.journal, version)
        speaker.say(f"would {told}")
        speaker.checklist(lines, would=told)
        return
    with lock.held(operations.lock_file, f"release record {version}"):
        recording.sound(deployment, operations.journal, version)
        speaker.confirm(lambda: speaker.say(told))
        release = recording.record(deployment, operations.journal, version)
    speaker.say(f"{version} recorded: {len(release.images)} images, migration {release.migration_head}")
    speaker.document(release=release.as_json())


@releases.command("list")
def release_list(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """All recorded releases, oldest first, with what would hinder a rollback to each."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    found = [(one, recording.readiness(deployment, one)) for one in Shelf(deployment).all()]
    for release, hindered in found:
        speaker.say(
            f"{release.version:20} {release.recorded}  migration {release.migration_head}  {hindered or 'ready'}"
        )
    if not found:
        speaker.say("no release is recorded: `rollback release record VERSION`")
    speaker.document(releases=[{**one.as_json(), "bad": one.bad, "hindered": why} for one, why in found])


@releases.command("show")
def release_show(version: str, *, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """One release: images, files by hash, migrations."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    release = Shelf(deployment).get(version)
    speaker.say(f"{release.version}, recorded {release.recorded}, migration {release.migration_head}")
    speaker.say(f"works with migration {', '.join(release.works_with)}; git {release.commit or 'unknown'}")
    kept = (
        f"fingerprint {release.schema.digest[:12]}" if release.schema else "not recorded: no way for `rollback schema`"
    )
    speaker.say(f"schema {kept}")
    for role, image in release.images.items():
        speaker.say(f"  {role:10} {image.id[:19]} {image.name} answers {image.identity}")
    for group, records in release.files.items():
        for record in records:
            speaker.say(f"  {group:12} {record.sha256[:12]} {record.path}")
    if release.bad:
        speaker.say(f"  BAD: {release.bad}")
    speaker.document(release={**release.as_json(), "bad": release.bad})


@releases.command("bad")
def release_bad(  # noqa: PLR0913 -- the words of the command
    version: str,
    reason: Annotated[str, typer.Option("--reason", help="Shown to whoever tries to roll back to it.")],
    *,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Mark VERSION bad: no rollback chooses it any more."""
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)
    operations = Operations(deployment, speaker)
    told = f"mark {version} bad for good: no rollback chooses it any more ({reason})"
    Shelf(deployment).get(version)
    if plan:
        speaker.say(f"would {told}")
        speaker.document(would=told)
        return
    with lock.held(operations.lock_file, f"release bad {version}"):
        speaker.confirm(lambda: speaker.say(told))
        Shelf(deployment).mark_bad(version, reason)
        operations.journal.append("-", "bad", version=version, reason=operations.redactor()(reason))
    speaker.say(f"{version} is marked bad")
    speaker.document(version=version, bad=reason)


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
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Failed(f"The database ended it: {said}.", "is it running? `rollback history` says what stands") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failed(
            f"{where}{error.strerror or error}.", "mend that, then `rollback history` says what stands"
        ) from error


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
