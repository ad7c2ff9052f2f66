"""Putting a backup into an empty server: roles, the database with its grants and settings, its schema and rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from rollback.database.backup import state
from rollback.database.backup.take import GLOBALS
from rollback.database.scratch import USER
from rollback.database.server import ended
from rollback.engine import CommandFailed
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server

__all__ = ["RESTORE", "amcheck", "proven", "restore"]

#: The scratch server has its own superuser, no other disks, and a psql that may not know newer commands.
_NOT_HERE = re.compile(
    rb"^(?:(?:CREATE|ALTER) ROLE %b(?: WITH [^;]*)?;|(?:CREATE|ALTER) TABLESPACE [^;]*;"
    rb"|(?:GRANT|REVOKE) [^;]* ON TABLESPACE [^;]*;|\\(?:un)?restrict .*)$\n?" % USER.encode(),
    re.MULTILINE,
)
RESTORE = ["pg_restore", "-Fd", "-j2", "--exit-on-error", "--no-tablespaces", "--create", "--clean", "--if-exists"]


def restore(server: Server, folder: Path) -> None:
    """Restore into a scratch server; the first error ends it.

    Raises:
        CommandFailed: with PostgreSQL's message.
    """
    roles = _NOT_HERE.sub(b"", (folder / GLOBALS).read_bytes())
    if b"\0" in roles:
        raise CommandFailed(f"{GLOBALS} is not what pg_dumpall writes")
    if roles.strip():
        try:
            with server.connect("postgres") as connection:
                connection.execute(roles)
        except psycopg.Error as error:
            # the statement may hold a password hash: only PostgreSQL's own first line is told
            raise CommandFailed(f"the roles cannot be restored: {error.diag.message_primary}") from None
    _ask(server, [*RESTORE, "-d", "template1", "/exchange/dump"], folder)


def proven(server: Server, name: str, manifest: Manifest, *, whole: bool) -> str:
    """Hold a restored database against its manifest and have PostgreSQL look through it; what was seen, in words.

    Args:
        server: where it is.
        name: its own.
        manifest: what it has to be.
        whole: roles, grants on the database itself and settings came with it; else they are the server's of today.

    Raises:
        Failed: it is something else, with the first differences.
    """
    with server.connect(name) as session:
        found = state.read(server, session, name, manifest.history)
    kept = {} if whole else {one: getattr(manifest.state, one) for one in ("roles", "acl", "settings")}
    without_role = "" if whole else server.user
    wrong = state.differences(manifest.state, found.model_copy(update=kept), without_role=without_role)
    if wrong:
        other = "use another archive" if whole else "use another backup"
        raise Failed(f"What was restored is not what {manifest.id} says: {'; '.join(wrong[:5])}.", other)
    with server.connect(name, autocommit=True) as session:
        session.execute("ANALYZE")
    rows = sum(one.count for one in found.tables.values())
    return f"{len(found.tables)} tables, {rows} rows,{' schema, grants and roles' if whole else ''} as in the manifest"


def amcheck(server: Server, database: str) -> None:
    """Every row is in every index, and every index in order.

    Raises:
        CommandFailed: with the first finding.
    """
    # without --install-missing it checks nothing
    _ask(server, ["pg_amcheck", "--install-missing", "--heapallindexed", "--database", database], None)


def _ask(server: Server, argv: list[str], folder: Path | None) -> None:
    result = server.run(argv, folder=folder, seconds=24 * 3600)
    ended(result, argv[0])
    if result.code != 0:
        raise CommandFailed(f"{argv[0]} ended with {result.code}: {(result.err or result.out).strip()}")
