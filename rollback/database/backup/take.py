"""Taking a backup: one snapshot, a dump and its description from the very same, the manifest last.

Users are not stopped: the tables are locked ACCESS SHARE, which only a change of the schema waits for.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback import __version__
from rollback.database import contents, fingerprint
from rollback.database.backup import seal, state, uploads
from rollback.database.backup.manifest import NAME, File, Manifest, Uploads, new_id
from rollback.database.backup.shelf import sync_folder, write
from rollback.database.backup.signing import digest
from rollback.database.server import run_alone
from rollback.engine import CommandFailed
from rollback.outcome import Failed, Refused
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from rollback.database.backup.manifest import State
    from rollback.database.backup.seal import Recipient
    from rollback.database.backup.shelf import Backup, Shelf
    from rollback.database.backup.uploads import Source
    from rollback.database.server import Connection, Server

__all__ = ["GLOBALS", "READ", "Order", "take"]

GLOBALS = "globals.sql"
READ = ["pg_restore", "-f", "/dev/null", "/exchange/dump"]
_DUMP = ["pg_dump", "-Fd", "-j2", "-Z1", "--lock-wait-timeout", fingerprint.LOCK_WAIT, "-f", "/exchange/dump"]
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_LOCK_TIMEOUT = "10s"
#: A materialized view cannot be locked; what it was made from is.
_LOCKED = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Order:
    """What to back up.

    Attributes:
        database: its name.
        history: the table of applied migrations.
        recipients: whom to seal it to; empty: it is not sealed.
        uploads: where the uploaded files lie; None: without them.
        progress: told how many of the tables are dumped.
    """

    database: str
    history: str = "schema_migrations"
    recipients: list[Recipient] = field(default_factory=list)
    uploads: Source | None = None
    progress: Callable[[int, int], None] = lambda _done, _total: None


def take(server: Server, shelf: Shelf, order: Order, announce: Callable[[Manifest, str], None]) -> Backup:
    """Take a backup; when this returns it is whole, read to its end and on the disk.

    Args:
        server: the running PostgreSQL.
        shelf: where it goes; the caller holds it.
        order: what to back up.
        announce: told the manifest and its SHA-256 just before the backup gets its name, for the journal.

    Raises:
        Refused: pg_dump is older than the server.
        Failed: something could not be read or written; nothing that looks like a backup is left.
    """
    keys, started = shelf.keys.made(), time.monotonic()
    tool = _tool(server)
    with shelf.workroom() as room:
        try:
            found = _described(server, order, room, tool, started)
            raw = keys.sign("manifest", found.model_dump(mode="json"))
            write(room / NAME, raw)
            announce(found, digest(raw))
            room.rename(shelf.folder / found.id)
            sync_folder(shelf.folder)
        except (OSError, psycopg.Error) as error:
            raise Failed(f"The backup could not be taken: {str(error).strip()}.", "nothing was left behind") from error
    return shelf.get(found.id)


def _tool(server: Server) -> str:
    """The version of pg_dump.

    Raises:
        Refused: it is older than the server: it would not know all that is there.
    """
    said = server.run(["pg_dump", "--version"]).out
    with server.connect("postgres") as connection:
        there = connection.info.server_version
    match = _VERSION.search(said)
    ours = int(match[1]) * 10_000 + int(match[2] or 0) if match else 0
    if ours < there:
        raise Refused(
            f"pg_dump is of version {said.strip() or 'unknown'}, the server is {there // 10_000}.{there % 10_000}.",
            "let the database's image hold both in one version",
        )
    return match[0] if match else ""


def _described(server: Server, order: Order, room: Path, tool: str, started: float) -> Manifest:
    """Everything but the names of files goes in while the snapshot is open or right after it."""
    with _snapshot(server, order.database) as (connection, name):
        backup = new_id(datetime.now(UTC))
        system, version = _facts(connection)
        found = _side_by_side(server, order, room, connection, name)
        said = {} if order.uploads is None else uploads.rows(connection, order.uploads)
    pictures = _uploads(server, order, room, said)
    _globals(server, room)
    _read_to_the_end(server, room)
    return Manifest(
        id=backup,
        database=order.database,
        history=order.history,
        system=system,
        server=version,
        image=server.image,
        tool=tool,
        by=__version__,
        encrypted=bool(order.recipients),
        state=found.model_copy(update={"sequences": _sequences(server, room, found)}),
        uploads=pictures,
        files=_finished(room, backup, order),
        seconds=round(time.monotonic() - started, 3),
    )


@contextmanager
def _snapshot(server: Server, database: str) -> Iterator[tuple[Connection, str]]:
    """A transaction that sees one instant, and its exported name.

    The locks come before the snapshot: a TRUNCATE between the two would empty a table for it.
    """
    with server.connect(database) as connection:
        tables: list[Any] = connection.execute(_LOCKED).fetchall()
        connection.rollback()
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
        if tables:
            names = sql.SQL(", ").join(sql.Identifier(*one) for one in tables)
            connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(names))
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        yield connection, str(row[0]) if row else ""


def _facts(connection: Connection) -> tuple[str, str]:
    row: Any = connection.execute(
        "SELECT system_identifier, current_setting('server_version') FROM pg_control_system()"
    ).fetchone()
    return str(row[0]), str(row[1])


def _side_by_side(server: Server, order: Order, room: Path, connection: Connection, name: str) -> State:
    """The dump, and what it must come back as, from the same snapshot."""
    total = len(contents.columns(connection))
    with ThreadPoolExecutor(2) as pool:
        dump = pool.submit(_dump, server, order.database, room, name)
        described = pool.submit(state.read, server, connection, order.database, order.history, snapshot=name)
        while not _all_done(dump, described):
            order.progress(min(total, len(list((room / "dump").glob("[0-9]*.dat*")))), total)
    dump.result()
    return described.result()


def _all_done(*waited: Future[Any]) -> bool:
    wait(waited, timeout=_LOOK_SECONDS)
    return all(one.done() for one in waited)


def _dump(server: Server, database: str, room: Path, snapshot: str) -> None:
    result = server.run([*_DUMP, "--snapshot", snapshot, "--dbname", database], folder=room, seconds=24 * 3600)
    if result.code != 0:
        raise CommandFailed(
            f"pg_dump ended with {result.code}: {result.err.strip()}", "let changes of the schema end, then repeat it"
        )


def _globals(server: Server, room: Path) -> None:
    """Roles with their password hashes, which are secrets: the file is private, sealed with the rest, never shown."""
    result = server.run(["pg_dumpall", "--globals-only", "-f", f"/exchange/{GLOBALS}"], folder=room)
    if result.code != 0:
        raise CommandFailed(f"pg_dumpall ended with {result.code}: {result.err.strip()}")


def _read_to_the_end(server: Server, room: Path) -> None:
    result = run_alone(server.engine, server.image, READ, folder=room)
    if result.code != 0:
        raise CommandFailed(f"The archive cannot be read to its end: {result.err.strip()}", "take it again")


def _sequences(server: Server, room: Path, seen: State) -> dict[str, int | None]:
    """As the archive sets them.

    Raises:
        Failed: it does not set the very sequences that are there.
    """
    found = state.archived_sequences(server, room)
    if found.keys() != seen.sequences.keys():
        names = ", ".join(sorted(found.keys() ^ seen.sequences.keys()))
        raise Failed(f"The archive and the database do not agree on the sequences {names}.", "take it again")
    return found


def _uploads(server: Server, order: Order, room: Path, said: dict[str, str]) -> Uploads | None:
    """The uploaded files. What a user deletes in these seconds, row and file, is no stray: it is listed."""
    source = order.uploads
    if source is None:
        return None
    there = uploads.kept(server.engine, source, room)
    gone = uploads.strays(said, there).without_file
    with server.connect(order.database) as connection:
        still = uploads.rows(connection, source) if gone else {}
    return Uploads(
        count=len(there),
        size=(room / uploads.TAR).stat().st_size,
        table=source.table,
        name=source.name,
        sha256=source.sha256,
        deleted=[name for name in gone if name not in still],
    )


def _finished(room: Path, backup: str, order: Order) -> dict[str, File]:
    """Seal, hash and sync every file."""
    found = {}
    for path in sorted(one for one in room.rglob("*") if one.is_file()):
        name = str(path.relative_to(room))
        content = sha256(path), path.stat().st_size
        kept = _sealed(path, backup, name, order) if order.recipients else path
        kept.chmod(0o600)
        _sync(kept)
        whole = sha256(kept) if order.recipients else content[0]
        found[name] = File(size=kept.stat().st_size, sha256=whole, content_size=content[1], content_sha256=content[0])
    for folder in [room, *(one for one in room.rglob("*") if one.is_dir())]:
        sync_folder(folder)
    return found


def _sealed(path: Path, backup: str, name: str, order: Order) -> Path:
    target = path.with_name(path.name + seal.SUFFIX)
    seal.seal_file(path, target, backup=backup, name=name, to=order.recipients)
    path.unlink()
    return target


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
