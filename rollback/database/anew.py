"""A backup restored into the deployment's own server, where nothing is left that it could replace.

For a new cluster alone, before any application is at work with it: roles, grants and settings come from the backup too.
Passwords do not where the files that have them are newer: the server was made with what those say.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from rollback.database import disposable
from rollback.database.backup.restore import RESTORE, proven
from rollback.database.backup.take import GLOBALS
from rollback.engine import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server

__all__ = ["Anew"]

_DAY = 24 * 3600
#: A setting of the server's own database while something is restored: what a killed restore has left looks whole.
_MARK = "rollback.restoring"
_NAMED = rb'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[a-z_][a-z0-9_$]*))'
_CREATED = re.compile(rb"^CREATE ROLE %b;$\n?" % _NAMED, re.MULTILINE)
_PASSWORD = re.compile(rb"^(?P<before>ALTER ROLE %b WITH [^;']*) PASSWORD '(?:[^']|'')*'" % _NAMED, re.MULTILINE)
_NOT_HERE = re.compile(rb"^\\(?:un)?restrict .*$\n?", re.MULTILINE)


@dataclass(frozen=True)
class Anew:
    """One database in one new server."""

    server: Server
    name: str

    def restored(self, backup: str) -> tuple[bool, str]:
        """Whether it is there, whole and proven: its comment is written last."""
        question = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        with self.server.connect("postgres") as admin:
            found = admin.execute(question, (self.name,)).fetchone()
        told = str(found[0] or "") if found else ""
        return told.startswith(f"restored from {backup}: "), told or f"{self.name} is not there, or not whole"

    def so_far(self) -> Callable[[], str]:
        """Says, whenever it is asked, how large the database is by now."""
        began = time.monotonic()

        def look() -> str:
            question = "SELECT coalesce(sum(pg_database_size(oid)), 0) FROM pg_database WHERE datname = %s"
            with self.server.connect("postgres") as admin:
                row = admin.execute(question, (self.name,)).fetchone()
            return f"{int(str(row[0] if row else 0)) / 1e6:.0f} MB restored, {time.monotonic() - began:.0f} s"

        return look

    def unfinished(self) -> str | None:
        """The backup from which a restore was begun that has not ended; None where there is no such."""
        question = """
            SELECT split_part(one, '=', 2) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase,
            unnest(s.setconfig) one WHERE d.datname = 'postgres' AND split_part(one, '=', 1) = %s"""
        with self.server.connect("postgres") as admin:
            found = admin.execute(question, (_MARK,)).fetchone()
        return str(found[0]) if found else None

    def restore(self, manifest: Manifest, folder: Path, *, passwords: bool = True) -> None:
        """Restore roles, and the database in place of what is there, prove it equal, and say so in its comment.

        Args:
            manifest: of the backup.
            folder: where it lies.
            passwords: also those of roles that the server has already, which it has from the files that lie here.

        Raises:
            CommandFailed: PostgreSQL refused something, with its message.
            Failed: what was restored is not what the manifest says.
        """
        disposable.sweep(self.server.engine)
        with self.server.connect("postgres", autocommit=True) as admin:
            begun = sql.SQL("ALTER DATABASE postgres SET {} = {}")
            admin.execute(begun.format(sql.Identifier(*_MARK.split(".")), sql.Literal(manifest.id)))
            # what a killed restore has left of it, with its sessions
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
        self._roles((folder / GLOBALS).read_bytes(), passwords=passwords)
        done = self.server.run([*RESTORE, "-d", "template1", "/exchange/dump"], folder=folder, seconds=_DAY)
        if done.code != 0:
            raise CommandFailed(f"pg_restore ended with {done.code}: {done.err.strip()}", "look at the message")
        told = proven(self.server, self.name, manifest, whole=True)
        with self.server.connect("postgres") as admin:  # both or neither
            text = sql.Literal(f"restored from {manifest.id}: {told}")
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(self.name), text))
            admin.execute(sql.SQL("ALTER DATABASE postgres RESET {}").format(sql.Identifier(*_MARK.split("."))))

    def _roles(self, raw: bytes, *, passwords: bool) -> None:
        """Those that are there already, the superuser above all, are altered and not made."""
        with self.server.connect("postgres") as admin:
            there = {str(row[0]) for row in admin.execute("SELECT rolname::text FROM pg_roles")}
            try:
                admin.execute(_script(raw, there, passwords=passwords))
            except psycopg.Error as error:
                # the statement may hold a password hash: only PostgreSQL's own first line is told
                raise CommandFailed(f"the roles cannot be restored: {error.diag.message_primary}") from None


def _script(raw: bytes, there: Collection[str], *, passwords: bool) -> bytes:
    """What pg_dumpall has written of roles, for a server that has some of them.

    Args:
        raw: as it lies in the backup.
        there: names of the roles that the server has.
        passwords: whether those get the backup's passwords.
    """
    script = _CREATED.sub(lambda one: b"" if _role(one) in there else one[0], _NOT_HERE.sub(b"", raw))
    return script if passwords else _PASSWORD.sub(lambda one: one["before"] if _role(one) in there else one[0], script)


def _role(found: re.Match[bytes]) -> str:
    return (found["quoted"].replace(b'""', b'"') if found["quoted"] else found["plain"]).decode(errors="replace")
