"""A row repair and a migration taken back with proof, against the runbook's own SQL, over a million rows of images.

Usage: python drills/bench/repair.py [IMAGE] [ROWS]

Rows: one in a thousand of the last tenth is garbage. The runbook deletes that tenth and inserts it anew from a copy of
the table; ours compares with the restored backup, and writes what differs. The migration has added a column and an
index to images. All in one server, one after the other; what counts are the ratios.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from drills.bench.restore import LIVE, MIGRATIONS, filled
from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.backup.verify import Verifier
from rollback.database.expectation import Migration, made_by
from rollback.database.rows.comparison import Comparison, Wanted
from rollback.database.rows.condition import EVERYTHING
from rollback.database.rows.repair import Repair
from rollback.database.scratch import scratch
from rollback.database.takeback import TakeBack
from rollback.engine import Engine

if TYPE_CHECKING:
    from rollback.database.backup.shelf import Backup
    from rollback.database.server import Connection, Server

SPREAD = "UPDATE images SET created_at = now() - size_bytes * interval '1 second'"
DAMAGE = """
    UPDATE images SET name = 'garbage' WHERE size_bytes % 1000 = 0
    AND size_bytes <= (SELECT count(*) / 10 FROM images)"""
LEFT = "SELECT count(*) FROM images WHERE name = 'garbage'"
SINCE = "SELECT min(created_at) FROM images WHERE size_bytes <= (SELECT count(*) / 10 FROM images)"
COPY = ["sh", "-c", "pg_dump -t images spheroseg | sed 's/public[.]images/backup.images/' > /exchange/images.sql"]
#: As somebody has to prepare the runbook's backup.images, without its keys.
LOADED = [
    "sh", "-c", ("psql -q -d spheroseg -c 'CREATE SCHEMA backup' -c 'CREATE TABLE backup.images (LIKE public.images)'"
    " && sed -n '/^COPY/,/^[\\\\][.]/p' /exchange/images.sql | psql -q -d spheroseg"),
]  # fmt: skip
RUNBOOK = """
    BEGIN; DELETE FROM images WHERE created_at >= '{0}';
    INSERT INTO images SELECT * FROM backup.images WHERE created_at >= '{0}'; COMMIT"""
THUMBNAILS = Migration(
    "013",
    "013_thumbnails.sql",
    "ALTER TABLE images ADD COLUMN thumbnail text; CREATE INDEX images_thumbnail_idx ON images (thumbnail);"
    " INSERT INTO schema_migrations VALUES ('013')",
    "DROP INDEX images_thumbnail_idx; ALTER TABLE images DROP COLUMN thumbnail",
)


def timed(server: Server, argv: list[str], folder: Path) -> float:
    """Seconds of one program of PostgreSQL's."""
    started = time.monotonic()
    done = server.run(argv, folder=folder)
    assert done.code == 0, done.err
    return time.monotonic() - started


def psql(text: str) -> list[str]:
    """SQL as the runbook runs it."""
    return ["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", LIVE, "-c", text]


def number(session: Connection, question: str) -> Any:
    """One value."""
    row: Any = session.execute(question.encode()).fetchone()
    return row[0]


def runbook_rows(server: Server, folder: Path, since: object) -> tuple[float, float]:
    """Seconds: of all of it, and of the transaction in which the rows are away."""
    kept = timed(server, psql("CREATE TABLE images_corrupted AS SELECT * FROM images"), folder)
    kept += timed(server, LOADED, folder)
    away = timed(server, psql(RUNBOOK.format(since)), folder)
    timed(server, psql("DROP TABLE images_corrupted; DROP SCHEMA backup CASCADE"), folder)
    return kept + away, away


def our_rows(server: Server, verifier: Verifier, backup: Backup) -> tuple[float, float]:
    """Seconds: of all of it with the proof of the backup, and of the transaction that holds writers up."""
    started = time.monotonic()
    with verifier.restored(backup) as (then, manifest), server.connect(LIVE, autocommit=True) as live:
        repair = Repair(live, "bench")
        with then.connect(manifest.database, autocommit=True) as before, live.transaction():
            live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = Comparison(live, before, Wanted("images", EVERYTHING, manifest.at)).found()
            repair.stage(before, found)
        compared = time.monotonic()
        repair.act()
    return time.monotonic() - started, time.monotonic() - compared


def our_migration(server: Server) -> tuple[float, float]:
    """Seconds: of all of it with what the migration made, and of the transaction that holds users up."""
    started = time.monotonic()
    files = [Migration(path.name[:3], path.name, path.read_text()) for path in sorted(MIGRATIONS.glob("*.sql"))]
    history = Migration("000", "000_history.sql", "CREATE TABLE schema_migrations (version text PRIMARY KEY)")
    made = made_by(server, [history, *files, THUMBNAILS], ["013"], [])["013"]
    expected = time.monotonic()
    with server.connect(LIVE, autocommit=True) as session:
        TakeBack(session, "public.schema_migrations", "bench").back(THUMBNAILS, made)
    return time.monotonic() - started, time.monotonic() - expected


def main(image: str = "spheroseg-drill/db:15", rows: str = "1000000") -> None:
    """On a scratch server."""
    with tempfile.TemporaryDirectory() as name, scratch(Engine(Path(name)), image) as server:
        folder = Path(name)
        filled(server, rows)
        shelf, known = Shelf(folder / "backups", Keys(folder / "key")), dict[str, str]()
        with server.connect(LIVE, autocommit=True) as session:
            session.execute(SPREAD)
            session.execute("VACUUM ANALYZE")
            with shelf.held("bench"):
                backup = take(server, shelf, Order(LIVE), lambda one, digest: known.update({one.id: digest}))
            verifier = Verifier(server.engine, shelf, known.get, None, image, lambda _rung: None)
            timed(server, COPY, folder)
            session.execute(DAMAGE)
            plain = runbook_rows(server, folder, number(session, SINCE))
            assert number(session, LEFT) == 0
            session.execute(DAMAGE)
            session.execute("VACUUM ANALYZE")
            ours = our_rows(server, verifier, backup)
            assert number(session, LEFT) == 0
            session.execute(THUMBNAILS.up.encode())
            script = timed(server, psql(THUMBNAILS.down), folder)
            session.execute("DELETE FROM schema_migrations WHERE version = '013'")
            session.execute(THUMBNAILS.up.encode())
            back = our_migration(server)
    print(f"rows, the runbook's way: {plain[0]:.1f} s, {plain[1]:.2f} s of it behind the locks of DELETE and INSERT")
    print(f"rows, ours: {ours[0]:.1f} s with the proof of the backup, {ours[1]:.2f} s of it without writes to images")
    print(f"ratios: whole {ours[0] / plain[0]:.2f}, without writes {ours[1] / plain[1]:.2f}")
    print(f"migration, the runbook's way: {script:.2f} s, all of it without the table")
    print(f"migration, ours: {back[0]:.1f} s with what it made, {back[1]:.2f} s of it in the transaction")
    print(f"ratios: whole {back[0] / script:.2f}, in the transaction {back[1] / script:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
