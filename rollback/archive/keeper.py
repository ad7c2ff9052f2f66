"""Which full backups may go: decided as for the backups of the database, by the figures of [recovery]."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rollback import lock
from rollback.archive.shelf import FullShelf
from rollback.database.backup import retention
from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue, digest

if TYPE_CHECKING:
    from rollback.archive.shelf import Full
    from rollback.deployment import Deployment

__all__ = ["FullKeeper"]


@dataclass(frozen=True)
class FullKeeper:
    """Keeps the folder of one deployment's full backups from filling up."""

    deployment: Deployment

    @property
    def shelf(self) -> FullShelf:
        """Where they lie."""
        return FullShelf(self.deployment, Desk.of(self.deployment).journal)

    def items(self) -> list[retention.Item]:
        """Every one as `prune` sees it, by the name of its file."""
        return [self._item(one) for one in self.shelf.all()]

    def _item(self, full: Full) -> retention.Item:
        name = full.path.name
        try:
            found = full.manifest()
            known = self.shelf.recorded(found.id) == digest(full.raw())
            doubt = "" if known else "the journal does not know this manifest"
        except Untrue as why:
            written = datetime.fromtimestamp(full.path.stat().st_mtime, UTC)
            return retention.Item(name, written, doubt=str(why))
        return retention.Item(name, found.at, full.proof() is not None, self._needed(found.id), doubt)

    def _needed(self, archive: str) -> str | None:
        """Why it must stay: a recovery that has not ended goes on from it."""
        journal = self.shelf.journal
        run = journal.unfinished()
        begun = [one.data for one in journal.of(run) if one.event == "begin"] if run is not None else []
        names = {str(one["arguments"].get("archive")) for one in begun}
        return f"the run {run} has not ended" if archive in names else None

    def decisions(self) -> list[retention.Decision]:
        """What `prune` would do now."""
        policy = retention.Policy.of(self.deployment.settings.recovery)
        return retention.decide(self.items(), policy, datetime.now(UTC))

    def prune(self) -> list[retention.Decision]:
        """Delete what is obsolete now; what was decided. No recovery begins meanwhile."""
        shelf = self.shelf
        with shelf.held("backup prune --full"), lock.held(Desk.of(self.deployment).lock_file, "backup prune --full"):
            found = self.decisions()
            files = {one.path.name: one for one in shelf.all()}
            for one in found:
                if one.verdict is retention.Verdict.OBSOLETE:
                    archive = files[one.id].manifest().id
                    files[one.id].remove()
                    shelf.note("pruned", archive, reason=one.reason)
        return found
