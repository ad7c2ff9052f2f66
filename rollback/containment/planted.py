"""What an intruder has left, by comparison with what was recorded before he came: listed, then removed.

Objects of the schema cannot survive, because the database is one that was restored and equals its manifest; they are
listed from the database of before. Roles belong to the server and files to the checkout: both are put right here.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.containment.given import server_of
from rollback.containment.surroundings import Surroundings, shut
from rollback.database import fingerprint
from rollback.database.attic import schemas
from rollback.database.beside import kept_name
from rollback.parts import files
from rollback.parts.pin import Pin
from rollback.plan import Reading
from rollback.release import Shelf, groups

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.containment.source import Patch
    from rollback.containment.surroundings import Recorded
    from rollback.database.server import Server
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Planted"]

_LIST, _RENEWED = "planted.json", "certificates"


@dataclass(frozen=True)
class Planted:
    """The comparison of one run.

    Attributes:
        folder: of the run; planted files are moved there, and changed ones copied before they are put right.
        run: its id.
        version: the release whose files are the right ones.
        recorded: of the server, as the manifest of the backup has it.
        patch: what was named instead of the release since, if it was.
    """

    deployment: Deployment
    folder: Path
    run: str
    version: str
    recorded: Recorded
    patch: Patch | None = None

    @property
    def release(self) -> Release:
        """The recorded release; where another one closes its hole, it is marked bad by now."""
        return Shelf(self.deployment).whole(self.version)

    @property
    def _around(self) -> Surroundings:
        return Surroundings(self.deployment.settings.database.name, self.recorded)

    # carried out

    def remove(self) -> None:
        """List everything, then put the server and the files right.

        Raises:
            Failed: the database cannot be reached.
            psycopg.Error: PostgreSQL refuses.
        """
        with server_of(self.deployment) as live:
            found = self._listed(live)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(self.folder / _LIST, json.dumps(found, indent=1) + "\n", mode=0o600)
            self._around.put_right(live)
            with live.connect("postgres", autocommit=True) as admin:
                shut(admin, self._old)
        self._files()

    def _listed(self, live: Server) -> dict[str, list[str]]:
        """What stands in an earlier list of this run stays: it was removed since."""
        found = {"objects": self._objects(live), "files": [*self._extra(), *self._wrong()]}
        with live.connect(self._around.live) as session:
            found |= {"roles": self._around.strangers(session), "server": self._around.changed(live, session)}
        return {key: sorted({*self.told().get(key, []), *some}) for key, some in found.items()}

    def _objects(self, live: Server) -> list[str]:
        """What differs in the database of before; once that is shut, it stands in the list."""
        with live.connect(self._around.live) as session:
            now = fingerprint.logical(session, schemas=schemas(session))
            row = session.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", (self._old,)).fetchone()
        if row and not row[0]:
            return []
        with live.connect(self._old) as session:
            then = fingerprint.logical(session, schemas=schemas(session))
        return [str(one) for one in fingerprint.difference(now, then)]

    def told(self) -> dict[str, list[str]]:
        """The list; empty where there is none yet."""
        path = self.folder / _LIST
        found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    @property
    def _old(self) -> str:
        return kept_name(self._around.live, self.run)

    def _records(self) -> list[files.FileRecord]:
        """Of every file but the upstream file, which rollbacks write, and certificates, which are renewed."""
        own = self.deployment.settings.edge.upstream_file
        kept = [some for name, some in self.release.files.items() if name != _RENEWED]
        return [one for some in kept for one in some if one.path != own]

    def _wrong(self) -> list[str]:
        found = files.differing(self.deployment.root, self._records())
        return [one for one in found if not (self.patch and self.patch.is_named_in(one))]

    def _extra(self) -> list[str]:
        """Files in the recorded folders that the release does not have."""
        known = {one.path for some in self.release.files.values() for one in some}
        edge = self.deployment.settings.edge
        own = {edge.upstream_file, edge.closing_file, edge.maintenance_file}
        named = [one for name, some in groups(self.deployment).items() if name != _RENEWED for one in some]
        return [one for one in files.listed(self.deployment.root, named) if one not in known and one not in own]

    def _files(self) -> None:
        for name in self._extra():
            (self.deployment.root / name).rename(self._aside(name))
        for name in self._wrong():
            self._copied(name)
        files.restore(self.deployment.root, self._records(), self.release.store)
        Pin(self.deployment, self.release).put()

    def _aside(self, name: str) -> Path:
        """Where a file is kept that has no business in the checkout as it is."""
        found = self.folder / "planted" / name
        found.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return found

    def _copied(self, name: str) -> None:
        """What he made of a file is kept before it is overwritten; one that he took away was nothing to keep."""
        path = self.deployment.root / name
        if path.is_symlink() or path.is_file():
            aside = self._aside(name)
            aside.unlink(missing_ok=True)
            shutil.copy2(path, aside, follow_symlinks=False)

    # seen

    def reading(self) -> Reading:
        """Whether nothing is there that was not recorded."""
        told = self.told()
        if not told:
            return Reading(holds=False, seen="not compared")
        with server_of(self.deployment) as live, live.connect(self._around.live) as session:
            left = [f"role {one}" for one in self._around.strangers(session)] + self._around.changed(live, session)
            row: Any = session.execute(
                "SELECT datallowconn FROM pg_database WHERE datname = %s", (self._old,)
            ).fetchone()
        left += [f"{self._old} lets sessions in"] if row and row[0] else []
        left += [*self._extra(), *self._wrong()]
        counts = ", ".join(f"{len(some)} {what}" for what, some in told.items())
        return Reading(not left, "; ".join(left) or f"removed: {counts}; listed in {self.folder / _LIST}")
