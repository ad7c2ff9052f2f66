"""A restore beside and a swap, against the runbook's drop, create and `psql <`, over a million rows of images.

Usage: python drills/bench/restore.py [IMAGE] [ROWS]

Both restore the same rows into the same server, one after the other; what counts are the ratios. The runbook's
downtime is all that lies between the drop and the end of psql; that of the swap lies between the end of the last
session and the new name.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.beside import Beside
from rollback.database.late import late_writes
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from rollback.database.backup.shelf import Backup
    from rollback.database.server import Server

MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"
LIVE = "spheroseg"
PROJECT = """
    WITH u AS (INSERT INTO users (email, name, password_hash) VALUES ('a@x.invalid', 'a', 'x') RETURNING id)
    INSERT INTO projects (user_id, name) SELECT id, 'p' FROM u"""
IMAGES = """
    INSERT INTO images (id, project_id, name, storage_name, media_type, sha256, size_bytes, width, height)
    SELECT gen_random_uuid(), p.id, i || '.png', i || '.png', 'image/png', encode(sha256(i::text::bytea), 'hex'), i,
           512, 512 FROM projects p, generate_series(1, %s::int) i"""
PSQL = ["sh", "-c", "pg_dump --no-comments -f /exchange/plain.sql spheroseg"]
RUNBOOK = ["sh", "-c", "psql -q -X -d spheroseg -f /exchange/plain.sql > /dev/null"]


def filled(server: Server, rows: str) -> None:
    """The live database."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE spheroseg")
    with server.connect(LIVE, autocommit=True) as session:
        session.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
        for path in sorted(MIGRATIONS.glob("*.sql")):
            session.execute(path.read_bytes())
        session.execute(PROJECT)
        session.execute(IMAGES.encode(), (rows,))


def runbook(server: Server, folder: Path) -> float:
    """Seconds from the drop to the end of psql."""
    done = server.run(PSQL, folder=folder)
    assert done.code == 0, done.err
    started = time.monotonic()
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE spheroseg WITH (FORCE)")
        admin.execute("CREATE DATABASE spheroseg")
    done = server.run(RUNBOOK, folder=folder)
    assert done.code == 0, done.err
    return time.monotonic() - started


def ours(server: Server, backup: Backup, folder: Path) -> tuple[float, float, float, float]:
    """Seconds: of the restore with its proof, without writes, without any database; and all of it."""
    one, started = Beside(server, LIVE, "260101000000aaaa", "schema_migrations"), time.monotonic()
    one.restore(backup.manifest(), backup.folder)
    restored = time.monotonic()
    one.stop_writes()
    written = one.written()
    with server.connect(LIVE) as live, server.connect(one.name) as then:
        late_writes(live, then, folder / "late.jsonl")
    away = one.swap(unwritten_since=written)
    ended = time.monotonic()
    return restored - started, ended - restored, away, ended - started


def main(image: str = "spheroseg-drill/db:15", rows: str = "1000000") -> None:
    """On a scratch server."""
    with tempfile.TemporaryDirectory() as name, scratch(Engine(Path(name)), image) as server:
        folder = Path(name)
        filled(server, rows)
        shelf = Shelf(folder / "backups", Keys(folder / "key"))
        with shelf.held("bench"):
            backup = take(server, shelf, Order(LIVE), lambda _manifest, _digest: None)
        plain = runbook(server, folder)
        beside, unwritten, away, whole = ours(server, backup, folder)
    print(f"the runbook's way: {plain:.1f} s, all of it without a database")
    print(f"beside: {beside:.1f} s with its proof while users work, {unwritten:.1f} s without writes (the list of what")
    print(f"will not be there), {away:.2f} s without a database")
    print(f"ratios: whole {whole / plain:.2f}, without writes {unwritten / plain:.2f}, away {away / plain:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
