"""The `rollback backup` commands: backups that are proven. Thin; see rollback.database.backup."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback.archive.keeper import FullKeeper
from rollback.archive.shelf import FullShelf
from rollback.commandline.options import HERE, AsJson, Directory, Encrypt, NameOfBackup
from rollback.commandline.recovery import full
from rollback.console import Speaker
from rollback.database.backup.desk import Desk
from rollback.database.backup.retention import Verdict
from rollback.database.backup.signing import Untrue
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import Exit

if TYPE_CHECKING:
    from rollback.archive.shelf import Full
    from rollback.database.backup.retention import Decision
    from rollback.database.backup.shelf import Backup
    from rollback.database.backup.verify import Rung

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Backups that are proven: taken in one snapshot, restored and compared.")
app.command()(full)


def _desk(directory: Path, *, as_json: bool) -> tuple[Desk, Speaker]:
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    operations = Operations(deployment, speaker)
    return Desk(deployment, operations.journal, operations.lock_file), speaker


@app.command()
def take(
    *,
    encrypt: Encrypt = False,
    uploads: Annotated[bool, typer.Option("--uploads", help="With the uploaded images.")] = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Take a backup of the running database; no user waits. `verify` proves it.

    Roles are in it with their password hashes: its files are 0600, and readable only to the recipients if sealed.
    """
    desk, speaker = _desk(directory, as_json=as_json)
    shared = desk.shares_a_disk()
    if shared:
        speaker.say(f"warning: {shared}")
    backup = desk.take(encrypt=encrypt, with_uploads=uploads, progress=_progress)
    found = backup.manifest()
    speaker.say(
        f"{found.id} taken in {found.seconds:.1f} s: {found.size / 1e6:.1f} MB, {len(found.state.tables)} tables,"
        f" migration {found.head or 'none'}{', sealed' if found.encrypted else ''}"
    )
    speaker.document(backup=_told(backup), warning=shared)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r… {done} of {total} tables begun ")
        sys.stderr.flush()


@app.command()
def verify(
    backup: NameOfBackup,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Stop before the restore: files, hashes, archive.")] = False,
    image: Annotated[str, typer.Option("--image", help="For the scratch PostgreSQL; default: as it was taken.")] = "",
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Climb the ladder: signature, files, archive, restore into a scratch PostgreSQL, every table, amcheck.

    Exit 0: proven (with --quick: held so far). Exit 20: refused, with the rung and the reason.
    """
    desk, speaker = _desk(directory, as_json=as_json)

    def told(rung: Rung) -> None:
        speaker.say(f"{rung.seconds:8.2f} s  {rung.name:9} {rung.seen}")

    climb = desk.verify(backup, quick=quick, image=image, told=told)
    speaker.say(f"{climb.backup} " + ("holds as far as a quick look goes" if quick else "is proven"))
    rungs = [asdict(one) for one in climb.rungs]
    speaker.document(backup=climb.backup, proven=not quick, rungs=rungs)


@app.command("list")
def list_(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Every backup, oldest first, with how far it is proven."""
    desk, speaker = _desk(directory, as_json=as_json)
    found = [_told(one) for one in desk.shelf.all()]
    for one in found:
        speaker.say(_line(one))
    whole = [_full(one) for one in FullShelf(desk.deployment, desk.journal).all()]
    for one in whole:
        speaker.say(f"full backup {one['file']}  {one['told']}")
    warnings = desk.warnings()
    for text in warnings:
        speaker.say(f"warning: {text}")
    speaker.document(backups=found, full=whole, warnings=warnings)


def _full(one: Full) -> dict[str, Any]:
    """A full backup in a list; whether every byte is still there is for a recovery to find out."""
    try:
        found = one.manifest()
    except Untrue as why:
        return {"file": one.path.name, "told": f"NOT TO BE BELIEVED: {why}"}
    proven, size = one.proof() is not None, f"{found.size / 1e6:.1f} MB"
    told = (
        f"{size}  {'proven' if proven else 'not proven'}  migration {found.head}  release {', '.join(found.releases)}"
    )
    return {"file": one.path.name, "told": told, "id": found.id, "size": found.size, "proven": proven}


def _line(one: dict[str, Any]) -> str:
    if "doubt" in one:
        return f"{one['id']}  NOT TO BE BELIEVED: {one['doubt']}"
    marks = [mark for mark in ("sealed" * one["encrypted"], "pinned" * (one["pinned"] is not None)) if mark]
    age = f"{one['age_hours']:.1f} h"
    return (
        f"{one['id']}  {age:>9}  {one['size'] / 1e6:9.1f} MB  {one['verified']:18}  migration {one['head'] or 'none'}"
        f"  {' '.join(marks)}"
    ).rstrip()


def _told(backup: Backup) -> dict[str, Any]:
    """A backup in a list."""
    try:
        found = backup.manifest()
    except Untrue as why:
        return {"id": backup.id, "doubt": str(why)}
    said = backup.verification()
    rung = "not verified" if said is None else f"{'proven' if said['proven'] else said['rung']}"
    return {
        "id": found.id,
        "age_hours": round((datetime.now(UTC) - found.at).total_seconds() / 3600, 2),
        "size": found.size,
        "encrypted": found.encrypted,
        "pinned": backup.pinned(),
        "head": found.head,
        "verified": rung if said is None or "reason" not in said else f"refused: {rung}",
        "verification": said,
    }


@app.command()
def show(backup: NameOfBackup, *, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """One backup: what its manifest says."""
    desk, speaker = _desk(directory, as_json=as_json)
    one = desk.shelf.get(backup)
    told = _told(one)
    speaker.say(_line(told))
    if "doubt" in told:
        speaker.document(backup=told)
        raise typer.Exit(Exit.REFUSED)
    found = one.manifest()
    speaker.say(f"database {found.database} of cluster {found.system}, PostgreSQL {found.server}, pg_dump {found.tool}")
    for name, table in found.state.tables.items():
        speaker.say(f"  {table.count:10}  {name}")
    for name, value in found.state.sequences.items():
        speaker.say(f"  {value if value is not None else 'unused':>10}  {name}")
    speaker.document(backup=told, manifest=found.model_dump(mode="json"))


@app.command()
def prune(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete; without it nothing is touched.")] = False,
    whole: Annotated[bool, typer.Option("--full", help="Full backups, as [recovery] keeps them.")] = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Say what becomes of every backup and why; with --yes delete what is obsolete."""
    desk, speaker = _desk(directory, as_json=as_json)
    keeper = FullKeeper(desk.deployment) if whole else desk
    found = keeper.prune() if yes else keeper.decisions()
    for one in found:
        speaker.say(f"{one.id}  {one.verdict.name:8}  {one.reason}")
    gone = sum(one.verdict is Verdict.OBSOLETE for one in found)
    speaker.say(f"{gone} of {len(found)} {'deleted' if yes else 'would be deleted; --yes deletes them'}")
    speaker.document(deleted=yes, decisions=[_decision(one) for one in found])


def _decision(one: Decision) -> dict[str, str]:
    return {"id": one.id, "verdict": one.verdict.value, "reason": one.reason}


@app.command()
def pin(
    backup: NameOfBackup,
    reason: Annotated[str, typer.Option("--reason", help="Shown to whoever wonders why it stays.")],
    *,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Keep a backup whatever `prune` would say."""
    desk, speaker = _desk(directory, as_json=as_json)
    one = desk.pin(backup, reason)
    speaker.say(f"{one.id} is pinned: {reason}")
    speaker.document(backup=_told(one))


@app.command()
def unpin(backup: NameOfBackup, *, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Let `prune` decide again."""
    desk, speaker = _desk(directory, as_json=as_json)
    one = desk.pin(backup, None)
    speaker.say(f"{one.id} is no longer pinned")
    speaker.document(backup=_told(one))


@app.command("uploads-check")
def uploads_check(*, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Find rows without files, files without rows, and files that are not what their row says; exit 50 if any."""
    desk, speaker = _desk(directory, as_json=as_json)
    found = desk.check_uploads()
    speaker.say(str(found))
    end = Exit.INCONCLUSIVE if found.without_file or found.without_row or found.changed else Exit.DONE
    speaker.document(end, **asdict(found))
    if end is not Exit.DONE:
        raise typer.Exit(end)
