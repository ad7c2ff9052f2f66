"""How long the proof of a database takes: logical and strict fingerprint, and contents, over a million rows.

Usage: python drills/bench/contents.py [IMAGE] [ROWS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from rollback.database import fingerprint
from rollback.database.contents import contents
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"
TABLE = (
    "CREATE TABLE cells (id bigint PRIMARY KEY, image uuid, area float8, polygon jsonb, at timestamptz DEFAULT now())"
)
ROWS = """
    INSERT INTO cells SELECT i, gen_random_uuid(), i * 1.5, jsonb_build_object('p', jsonb_build_array(i, i + 1))
    FROM generate_series(1, %s::int) i"""


def timed(what: str, act: Callable[[], object]) -> None:
    """Three times, in seconds."""
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        act()
        seconds.append(time.monotonic() - started)
    print(f"{what:20} {'  '.join(f'{one:.3f} s' for one in seconds)}")


def main(image: str = "spheroseg-drill/db:15", rows: str = "1000000") -> None:
    """On a scratch server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch(Engine(Path(folder)), image) as server,
        server.connect("postgres", autocommit=True) as connection,
    ):
        for path in sorted(MIGRATIONS.glob("*.sql")):
            connection.execute(path.read_bytes())
        connection.execute(TABLE.encode())
        connection.execute(ROWS.encode(), (rows,))
        timed("logical fingerprint", lambda: fingerprint.logical(connection))
        timed("strict fingerprint", lambda: fingerprint.strict(server, "postgres"))
        timed("contents", lambda: contents(connection))


if __name__ == "__main__":
    main(*sys.argv[1:])
