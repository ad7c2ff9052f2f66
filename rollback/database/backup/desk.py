"""What the `backup` commands do for a deployment: the shelf of rollback.toml, its lock, and the journal.

Taking stops no user and no other command: the deployment's lock is held only for the instant in which the journal
is written and the backup gets its name.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import __version__, commands, private
from rollback.database import server
from rollback.database.backup import retention, seal, uploads
from rollback.database.backup.manifest import taken_at
from rollback.database.backup.shelf import Backup, Shelf, patiently
from rollback.database.backup.signing import Keys, Untrue, digest
from rollback.database.backup.take import Order, take
from rollback.database.backup.verify import Unproven, Verifier
from rollback.journal import Journal
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.database.backup.manifest import Manifest
    from rollback.database.backup.verify import Climb, Rung
    from rollback.database.server import Server
    from rollback.deployment import Deployment

__all__ = ["Desk"]

_EVENT = "backup"


@dataclass(frozen=True)
class Desk:
    """The backups of one deployment."""

    deployment: Deployment
    journal: Journal
    lock_file: Path

    @classmethod
    def of(cls, deployment: Deployment) -> Desk:
        """The desk of a deployment, with its own journal and lock."""
        return cls(deployment, Journal(deployment.state / "journal.jsonl"), deployment.state / "lock")

    @property
    def shelf(self) -> Shelf:
        """Where they lie, and by which key they are believed."""
        table, root = self.deployment.settings.backup, self.deployment.root
        return Shelf(root / table.folder, Keys(root / table.signing_key))

    def take(self, *, encrypt: bool, with_uploads: bool, progress: Callable[[int, int], None]) -> Backup:
        """Take a backup of the running database; see rollback.database.backup.take."""
        settings = self.deployment.settings
        to = seal.recipients(settings.backup.recipients) if encrypt else []
        source = self.uploads_source() if with_uploads else None
        order = Order(settings.database.name, settings.database.history, to, source, progress)
        private.folder(self.deployment.state)
        shelf = self.shelf
        with shelf.held("backup take"), server.of_deployment(self.deployment) as one:
            return take(one, shelf, order, self._taken)

    def _taken(self, found: Manifest, manifest: str) -> None:
        self.note("taken", found.id, manifest=manifest, database=found.database, size=found.size)

    def note(self, did: str, backup: str, **data: object) -> None:
        """One entry in the journal."""
        with patiently(self.lock_file, f"backup {did}"):
            self.journal.append("-", _EVENT, did=did, backup=backup, summary=f"{did} {backup}", **data)

    def recorded(self, backup: str) -> str | None:
        """The SHA-256 of a backup's manifest as the journal has it; None where it does not know it."""
        for entry in self.journal.entries():
            if entry.event == _EVENT and entry.data["did"] == "taken" and entry.data["backup"] == backup:
                return str(entry.data["manifest"])
        return None

    def verify(self, name: str, *, quick: bool, image: str, told: Callable[[Rung], None]) -> Climb:
        """Climb the ladder and write down how far.

        Raises:
            Unproven: with the rung and the reason; that is written down as well.
        """
        backup = self.shelf.get(name)
        verifier = self._verifier(image, told)
        with backup.in_use():
            try:
                climb = verifier.quick(backup) if quick else verifier.full(backup)
            except Unproven as no:
                self._record(backup, proven=False, rung=no.rung, reason=no.reason)
                raise
            seconds = round(sum(one.seconds for one in climb.rungs), 3)
            if not (quick and backup.proven()):  # a quick look does not take back what a restore has shown
                self._record(backup, proven=not quick, rung=climb.rungs[-1].name, seconds=seconds)
            return climb

    def _verifier(self, image: str, told: Callable[[Rung], None]) -> Verifier:
        where = self.deployment.settings.backup.identity_file
        identity = None if where is None else self.deployment.root / Path(where).expanduser()
        return Verifier(self.deployment.engine, self.shelf, self.recorded, identity, image, told)

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[Manifest, Path]]:
        """A backup that has held on every rung below a restore, with the folder of its plain files.

        Raises:
            Unproven: with the rung and the reason.
            Refused: it is not there, or sealed and no private key is named.
        """
        backup = self.shelf.get(name)
        with backup.in_use(), self._verifier("", lambda _rung: None).opened(backup) as found:
            yield found

    @contextmanager
    def restored(self, name: str) -> Iterator[tuple[Server, Manifest]]:
        """A backup of this deployment's database in a scratch PostgreSQL, believed; nobody deletes it meanwhile.

        Raises:
            Unproven: with the rung and the reason.
            Refused: it is the backup of another database.
        """
        backup, ours = self.shelf.get(name), self.deployment.settings.database.name
        with backup.in_use(), self._verifier("", lambda _rung: None).restored(backup) as (one, manifest):
            if manifest.database != ours:
                raise Refused(f"{backup.id} is a backup of {manifest.database}, not of {ours}.", "name another one")
            yield one, manifest

    def _record(self, backup: Backup, *, proven: bool, rung: str, **more: object) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        said = {"proven": proven, "rung": rung, "at": at, "by": __version__, **more}
        try:
            known = digest(backup.raw()) == self.recorded(backup.id)
        except Untrue:
            known = False
        if known:  # nothing is signed about a manifest that is not the one that was taken
            backup.record_verification(**said)
        self.note("refused" if "reason" in more else "verified", backup.id, **said)

    def items(self) -> list[retention.Item]:
        """Every backup as `prune` sees it."""
        return [self._item(one) for one in self.shelf.all()]

    def _item(self, backup: Backup) -> retention.Item:
        try:
            backup.manifest()
            known = self.recorded(backup.id) == digest(backup.raw())
            doubt = "" if known else "the journal does not know this manifest"
        except Untrue as why:
            doubt = str(why)
        return retention.Item(backup.id, taken_at(backup.id), backup.proven(), backup.pinned(), doubt)

    def decisions(self) -> list[retention.Decision]:
        """What `prune` would do now."""
        policy = retention.Policy.of(self.deployment.settings.backup)
        return retention.decide(self.items(), policy, datetime.now(UTC))

    def prune(self) -> list[retention.Decision]:
        """Delete what is obsolete now; what was decided."""
        shelf = self.shelf
        with shelf.held("backup prune"):
            found = self.decisions()
            for one in found:
                if one.verdict is retention.Verdict.OBSOLETE:
                    shelf.get(one.id).remove()
                    self.note("pruned", one.id, reason=one.reason)
        return found

    def pin(self, name: str, reason: str | None) -> Backup:
        """Keep a backup for a reason, or (None) let `prune` decide again."""
        shelf = self.shelf
        with shelf.held("backup pin"):
            backup = shelf.get(name)
            if reason is None:
                backup.unpin()
                self.note("unpinned", backup.id)
            else:
                backup.pin(reason)
                self.note("pinned", backup.id, reason=reason)
        return backup

    def uploads_source(self) -> uploads.Source:
        """Where the uploaded files lie.

        Raises:
            Refused: no container of that service is there.
        """
        table = self.deployment.settings.backup.uploads
        there = self.deployment.serving(table.service)
        if not there:
            raise Refused(f"The service `{table.service}` of [backup.uploads] has no container.", "start it")
        return uploads.Source(there[0].id, table.path, table.table, table.name, table.sha256)

    def check_uploads(self) -> uploads.Strays:
        """Rows without files and files without rows, in the live deployment."""
        private.folder(self.deployment.state)
        source, shelf = self.uploads_source(), self.shelf
        with shelf.held("backup uploads-check"), shelf.workroom() as room:
            there = uploads.kept(self.deployment.engine, source, room)
        with (
            server.of_deployment(self.deployment) as one,
            one.connect(self.deployment.settings.database.name) as connection,
        ):
            return uploads.strays(uploads.rows(connection, source), there)

    def shares_a_disk(self) -> str:
        """A sentence if the shelf lies on the same disk as the database, so that one failure takes both; else empty."""
        service = self.deployment.settings.database.service
        there = self.deployment.serving(service)
        if not there:
            return ""
        raw = json.loads(self.deployment.engine.ask(commands.inspect("container", [there[0].id])))[0]
        sources = [Path(one["Source"]) for one in raw.get("Mounts", []) if one.get("Source")]
        disks = {_disk(one) for one in sources} - {None}
        if _disk(self.shelf.folder) not in disks:
            return ""
        return f"{self.shelf.folder} lies on the same disk as the database: what takes one takes both (`backup.folder`)"

    def warnings(self) -> list[str]:
        """What the lead should know of the shelf."""
        table, now = self.deployment.settings.backup, datetime.now(UTC)
        proven = [one for one in self.items() if one.verified and not one.doubt and one.at <= now]
        found = [f"{name} has no manifest: it is not a backup, and nothing deletes it" for name in self.shelf.strays()]
        if not any(now - one.at <= timedelta(hours=table.max_age_hours) for one in proven):
            found.append(f"no proven backup is younger than {table.max_age_hours:g} h (max_age_hours)")
        return found


def _disk(path: Path) -> int | None:
    """The device of a path, or of the nearest folder above it that can be looked at."""
    for one in (path, *path.parents):
        try:
            return one.stat().st_dev
        except OSError:
            continue
    return None
