"""A restore into a new cluster that is cut off: what it has left is never taken for what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drills.database.servers import LIVE, with_notes
from rollback.database.anew import Anew
from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.engine import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.backup.shelf import Backup
    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Server]:
    """A server with a database of two tables."""
    with with_notes(tmp_path, "SELECT n FROM generate_series(1, 1000) n") as found:
        yield found


def backup_of(one: Server, folder: Path) -> Backup:
    """A backup of it."""
    shelf = Shelf(folder / "backups", Keys(folder / "key"))
    with shelf.held("test"):
        return take(one, shelf, Order(LIVE), lambda _manifest, _digest: None)


def test_a_restore_that_never_ended_is_known_until_one_ends(one: Server, tmp_path: Path) -> None:
    """Also where all rows are there already: whoever killed it knows nothing of them."""
    backup, anew = backup_of(one, tmp_path), Anew(one, LIVE)
    manifest = backup.manifest()
    assert anew.unfinished() is None
    cut = tmp_path / "cut"
    (cut / "dump").mkdir(parents=True)
    for path in backup.folder.rglob("*"):
        if path.is_file():
            (cut / path.relative_to(backup.folder)).write_bytes(path.read_bytes())
    largest = max((cut / "dump").glob("*.dat*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-20])
    with pytest.raises(CommandFailed):
        anew.restore(manifest, cut)
    assert anew.unfinished() == manifest.id
    assert anew.restored(manifest.id)[0] is False
    anew.restore(manifest, backup.folder)
    assert anew.unfinished() is None
    whole, told = anew.restored(manifest.id)
    assert (whole, "schema, grants and roles as in the manifest" in told) == (True, True)


AGENT = 'an ; "agent'


@pytest.mark.parametrize("passwords", [False, True], ids=["files-newer", "files-archived"])
def test_who_may_sign_in_is_said_by_the_files_that_lie_here(one: Server, tmp_path: Path, *, passwords: bool) -> None:
    """The server was made with a newer password than that of the backup; a role that it has not comes with its own."""
    with one.connect(LIVE, autocommit=True) as session:
        session.execute('CREATE ROLE "an ; ""agent" LOGIN PASSWORD \'own\'')
    backup, then = backup_of(one, tmp_path), verifiers(one)
    with one.connect(LIVE, autocommit=True) as session:
        session.execute("ALTER ROLE postgres PASSWORD 'newer'")
        session.execute('DROP ROLE "an ; ""agent"')
    now = verifiers(one)
    Anew(one, LIVE).restore(backup.manifest(), backup.folder, passwords=passwords)
    assert now["postgres"] != then["postgres"]
    assert verifiers(one) == {"postgres": (then if passwords else now)["postgres"], AGENT: then[AGENT]}


def verifiers(one: Server) -> dict[str, str]:
    """What PostgreSQL holds a password against, for every role that has one."""
    with one.connect("postgres") as session:
        rows = session.execute("SELECT rolname::text, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
        return {str(name): str(verifier) for name, verifier in rows}
