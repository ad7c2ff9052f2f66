"""`rollback backup full` and `rollback recover`: from everything to nothing and back. Thin."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollback.archive.desk import FullDesk
from rollback.commandline.options import HERE, AsJson, Directory, Encrypt, Yes, carry_out
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import Exit
from rollback.procedures import recovery
from rollback.procedures.recovery_survey import survey
from rollback.recovery.orphaned import put_back
from rollback.recovery.wanted import Wanted

if TYPE_CHECKING:
    from rollback.database.backup.verify import Rung

__all__ = ["full", "recover"]

_EVERY_SECONDS = 1.0
#: Users come first: what reads and hashes gigabytes beside them takes the time that they leave.
_POLITE = 10


class _Shown:
    """How many bytes were written, once a second, on a terminal."""

    def __init__(self) -> None:
        self.bytes, self.next = 0, 0.0

    def __call__(self, count: int) -> None:
        self.bytes += count
        now = time.monotonic()
        if sys.stderr.isatty() and now >= self.next:
            self.next = now + _EVERY_SECONDS
            sys.stderr.write(f"\r… {self.bytes / 1e6:.0f} MB written ")
            sys.stderr.flush()


def _dumped(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r… {done} of {total} tables begun ")
        sys.stderr.flush()


def full(
    *,
    encrypt: Encrypt = False,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="With the volumes that [recovery] monitoring names.")
    ] = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Make one file of all that `rollback recover` needs to start from nothing, and prove it; no user waits.

    Exit 0: proven. Exit 50: it is there and not proven, because it is sealed and no private key is named here.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    os.nice(_POLITE)

    def told(rung: Rung) -> None:
        speaker.say(f"{rung.seconds:8.2f} s  {rung.name:9} {rung.seen}")

    one, proven = FullDesk(deployment, told, _Shown(), _dumped).take(encrypt=encrypt, monitoring=monitoring)
    found = one.manifest()
    end = Exit.DONE if proven else Exit.INCONCLUSIVE
    word = "proven" if proven else "NOT proven: it is sealed, and `identity_file` of [backup] names no private key"
    speaker.say(
        f"{found.id} taken in {found.seconds:.1f} s: {found.size / 1e6:.1f} MB in {one.path}, release"
        f" {', '.join(found.releases) or 'not recorded'}{', sealed' if found.sealed else ''}, {word}"
    )
    speaker.say(f"signed by the key {one.keys.fingerprint()}: keep that elsewhere, for the day when this host is gone")
    speaker.document(
        end,
        archive=found.id,
        key=one.keys.fingerprint(),
        file=str(one.path),
        size=found.size,
        proven=proven,
        backup=found.backup,
    )
    if not proven:
        raise typer.Exit(end)


def recover(  # noqa: PLR0913 -- the words of the command
    archive: Annotated[
        str | None, typer.Argument(help="A file or an id; without it the newest one that is proven.")
    ] = None,
    *,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="What is sound goes back to the archive as well, and is set aside; uploaded files that the archive"
            " does not know stay.",
        ),
    ] = False,
    monitoring: Annotated[
        bool,
        typer.Option(
            "--monitoring", help="With the monitoring volumes, where they are gone; with --everything, all of them."
        ),
    ] = False,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            "--volume",
            help="Key of a volume that goes back to the archive although it is there, as one with damaged files; it is"
            " set aside. May be repeated. The database is looked at in any case.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", "--dry-run", help="Print what would change and why; touch nothing.")
    ] = False,
    fingerprint: Annotated[
        str | None,
        typer.Option(help="Of the key that signed the archive, where the checkout with rollback.toml is gone."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Rebuild the deployment from a full backup after a complete failure; what is left is kept, never pruned.

    A database that is sound serves on. Killed at any point, `rollback resume` goes on. Where rollback.toml or the
    public key is gone, both come from the archive, if --fingerprint names its key.
    """
    speaker = Speaker(as_json, yes)
    if back := put_back(directory.resolve(), archive, fingerprint, touch=not plan):
        speaker.say(f"put back from the archive: {', '.join(back)}")
    deployment = Deployment.load(directory)
    operations = Operations(deployment, speaker)

    wanted = Wanted(everything, monitoring, volume or [])

    def surveyed(run: str) -> dict[str, Any]:
        return survey(deployment, archive, run, wanted)

    carry_out(operations, speaker, recovery.NAME, surveyed, plan_only=plan)
