"""What an intruder has left, by comparison with what was recorded before he came: listed, then removed.

Objects of the schema cannot survive, because the database is one that was restored and equals its manifest; they are
listed from the database of before. Roles belong to the server and files to the checkout: both are put right here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database import fingerprint, server
from rollback.database.attic import schemas
from rollback.database.backup import state
from rollback.database.beside import kept_name
from rollback.parts import files
from rollback.parts.pin import Pin
from rollback.plan import Reading
from rollback.release import Shelf, groups

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.containment.source import Patch
    from rollback.database.server import Connection, Server
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Planted"]

_LIST, _RENEWED = "planted.json", "certificates"
_ATTRIBUTES = ("superuser", "createrole", "createdb", "login", "replication", "bypassrls")


@dataclass(frozen=True)
class Planted:
    """The comparison of one run.

    Attributes:
        folder: of the run; planted files are moved there.
        run: its id.
        version: the release whose files are the right ones.
        roles: of the server, as the manifest of the backup has them.
        patch: what was named instead of the release since, if it was.
    """

    deployment: Deployment
    folder: Path
    run: str
    version: str
    roles: dict[str, str]
    patch: Patch | None = None

    @property
    def release(self) -> Release:
        """The recorded release; where another one closes its hole, it is marked bad by now."""
        return Shelf(self.deployment).whole(self.version)

    # carried out

    def remove(self) -> None:
        """List everything, then put roles and files right.

        Raises:
            Failed: PostgreSQL refuses.
        """
        with server.of_deployment(self.deployment) as live:
            found = self._listed(live)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(self.folder / _LIST, json.dumps(found, indent=1) + "\n", mode=0o600)
            for name in found["roles"]:
                self._drop(live, name)
            self._settle(live)
            self._close(live)
        self._files()

    def _listed(self, live: Server) -> dict[str, list[str]]:
        """What stands in an earlier list of this run stays: it was removed since."""
        name = self.deployment.settings.database.name
        with live.connect(name) as session:
            roles, changed = self._strangers(session), self._changed(session)
            now = fingerprint.logical(session, schemas=schemas(session))
        with live.connect(self._old) as session:
            then = fingerprint.logical(session, schemas=schemas(session))
        objects = [str(one) for one in fingerprint.difference(now, then)]
        extra, wrong = self._extra(), self._wrong()
        found = {"roles": roles, "attributes": changed, "objects": objects, "files": [*extra, *wrong]}
        return {key: sorted({*self.told().get(key, []), *some}) for key, some in found.items()}

    def told(self) -> dict[str, list[str]]:
        """The list; empty where there is none yet."""
        path = self.folder / _LIST
        found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    @property
    def _old(self) -> str:
        return kept_name(self.deployment.settings.database.name, self.run)

    def _strangers(self, session: Connection) -> list[str]:
        now = state.roles(session)
        return sorted(set(now) - set(self.roles))

    def _changed(self, session: Connection) -> list[str]:
        now = state.roles(session)
        both = sorted(set(now) & set(self.roles))
        return [f"{one}: {now[one]}, was {self.roles[one]}" for one in both if now[one] != self.roles[one]]

    def _drop(self, live: Server, name: str) -> None:
        """Whatever it owns anywhere becomes the deployment's, its grants and sessions end, it goes."""
        role, heir = sql.Identifier(name), sql.Identifier(live.user)
        with live.connect("postgres", autocommit=True) as admin:
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
                return
            admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(role))
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,))
            rows = admin.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
        for (database,) in rows:
            with live.connect(str(database), autocommit=True) as session:
                session.execute("SET session_replication_role = replica")
                # the database of before is kept as it was, read-only, and holds what is his as well
                session.execute("SET default_transaction_read_only = off")
                session.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, heir))
                session.execute(sql.SQL("DROP OWNED BY {}").format(role))
        with live.connect("postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(role))

    def _settle(self, live: Server) -> None:
        """Attributes of the known roles as they were."""
        with live.connect("postgres", autocommit=True) as admin:
            now = state.roles(admin)
            for name in sorted(set(now) & set(self.roles)):
                had, has = set(self.roles[name].split()), set(now[name].split())
                words = [one if one in had else f"no{one}" for one in _ATTRIBUTES if (one in had) != (one in has)]
                if words:
                    change = sql.SQL(" ").join([sql.SQL(_WORDS[one]) for one in words])
                    admin.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(name), change))

    def _close(self, live: Server) -> None:
        """The database of before is evidence: nobody works in it, and nothing in it runs."""
        with live.connect("postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(self._old)))

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
            aside = self.folder / "planted" / name
            aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.deployment.root / name).rename(aside)
        files.restore(self.deployment.root, self._records(), self.release.store)
        Pin(self.deployment, self.release).put()

    # seen

    def reading(self) -> Reading:
        """Whether nothing is there that was not recorded."""
        told = self.told()
        if not told:
            return Reading(holds=False, seen="not compared")
        with server.of_deployment(self.deployment) as live, live.connect("postgres", autocommit=True) as session:
            left = [f"role {one}" for one in self._strangers(session)] + self._changed(session)
            row: Any = session.execute(
                "SELECT datallowconn FROM pg_database WHERE datname = %s", (self._old,)
            ).fetchone()
        left += [f"{self._old} lets sessions in"] if row and row[0] else []
        left += [*self._extra(), *self._wrong()]
        counts = ", ".join(f"{len(some)} {what}" for what, some in told.items())
        return Reading(not left, "; ".join(left) or f"removed: {counts}; listed in {self.folder / _LIST}")


_WORDS = {
    "superuser": "SUPERUSER", "nosuperuser": "NOSUPERUSER", "createrole": "CREATEROLE", "nocreaterole": "NOCREATEROLE",
    "createdb": "CREATEDB", "nocreatedb": "NOCREATEDB", "login": "LOGIN", "nologin": "NOLOGIN",
    "replication": "REPLICATION", "noreplication": "NOREPLICATION", "bypassrls": "BYPASSRLS",
    "nobypassrls": "NOBYPASSRLS",
}  # fmt: skip
