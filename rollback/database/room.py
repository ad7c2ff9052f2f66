"""Whether a second copy of a database has room beside the first: PostgreSQL that runs out of disk stops serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from rollback.database.server import Server

__all__ = ["enough", "free", "needed"]

_NEEDED = """
    SELECT pg_database_size(%s) + least(pg_database_size(%s), 2 * pg_size_bytes(current_setting('max_wal_size')))"""
_PLACES = """
    SELECT current_setting('data_directory'), current_setting('data_directory') || '/pg_wal'"""
_MEGA = 1e6


def needed(server: Server, database: str) -> int:
    """Bytes for a copy as large as the live database, and for the write-ahead log that restoring it makes."""
    with server.connect("postgres") as session:
        row: Any = session.execute(_NEEDED, (database, database)).fetchone()
    return int(row[0])


def free(server: Server) -> int:
    """Bytes that PostgreSQL may still write where its data, or its write-ahead log if that is less, lie.

    Raises:
        Failed: the container cannot say.
    """
    with server.connect("postgres") as session:
        places: Any = session.execute(_PLACES).fetchone()
    told = server.engine.run(commands.execute(server.container, ["df", "-P", "-k", *places]))
    lines = [line.split() for line in told.out.splitlines()[1:]]
    if told.code != 0 or not lines:
        raise Failed(
            f"How much room PostgreSQL has cannot be told: {(told.err or told.out).strip()}.", "look with `df`"
        )
    return min(int(line[3]) for line in lines) * 1024


def enough(server: Server, database: str) -> None:
    """Say that a copy of the database can be restored beside it.

    Raises:
        Refused: the disk is too small, with both figures.
    """
    wanted, there = needed(server, database), free(server)
    if there < wanted:
        raise Refused(
            f"Restoring beside {database} needs about {wanted / _MEGA:.0f} MB where PostgreSQL keeps its data, and"
            f" {there / _MEGA:.0f} MB are free.",
            "make room (`rollback database kept` lists databases of before); a full disk would stop the live database",
        )
