"""A full disk: a restore is refused before it, and where it fills up meanwhile, the live database is what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drills.database.servers import LIVE, with_notes
from rollback import commands
from rollback.database import room
from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.beside import Beside
from rollback.database.contents import contents
from rollback.engine import CommandFailed
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

#: A cluster and its first log segments take a third of it.
DISK = "/room:size=256m,mode=0777"
#: A checkpoint that begins by itself on a full disk stops PostgreSQL, and when it begins is nobody's choice.
SETTINGS = ["checkpoint_timeout=1h", "max_wal_size=1GB"]
NOTES = "SELECT n, repeat(md5(n::text), 40) AS text FROM generate_series(1, 20000) n"
FILL = "fallocate -l $(( ($(df -P -k /room | awk 'END {print $4}') - 20000) * 1024 )) /room/other"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Server]:
    """A server whose disk is small."""
    options = ["--tmpfs", DISK, "--env", "PGDATA=/room/data"]
    with with_notes(tmp_path, NOTES, options=options, settings=SETTINGS) as one:
        yield one


def inside(small: Server, script: str) -> None:
    """Run something in the server's container."""
    done = small.engine.run(commands.execute(small.container, ["sh", "-c", script]))
    assert done.code == 0, done.err


def test_no_room_is_refused_and_a_disk_that_fills_up_harms_nothing(small: Server, tmp_path: Path) -> None:
    """Both figures are told before; filled up in the middle, the restore ends, and users read and write on."""
    shelf, one = Shelf(tmp_path / "backups", Keys(tmp_path / "key")), Beside(small, LIVE, "r1", "schema_migrations")
    with shelf.held("test"):
        backup = take(small, shelf, Order(LIVE), lambda _manifest, _digest: None)
    room.enough(small, LIVE)
    with small.connect(LIVE, autocommit=True) as session:
        before = contents(session)
        # what is in memory alone, and the next files of the log, get their room now
        session.execute("CHECKPOINT")
    inside(small, FILL)
    with pytest.raises(Refused, match=r"needs about \d+ MB .* and \d+ MB are free"):
        room.enough(small, LIVE)
    with pytest.raises(CommandFailed, match="No space left on device"):
        one.restore(backup.manifest(), backup.folder)
    with small.connect(LIVE, autocommit=True) as session:
        assert contents(session) == before
        session.execute("INSERT INTO notes VALUES (0, 'written on a full disk')")
        session.execute("DELETE FROM notes WHERE n = 0")
    one.drop()
    inside(small, "rm /room/other")
    one.restore(backup.manifest(), backup.folder)
    with small.connect(one.name) as session:
        assert contents(session) == before
