"""A backup taken while users write comes back as exactly what its manifest says, which is not what is live by then."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import pytest

from drills.database.servers import IMAGE, until
from rollback.database.backup.shelf import Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.backup.verify import Verifier
from rollback.database.contents import contents, sequences
from rollback.database.scratch import scratch
from rollback.engine import CommandFailed, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

WRITERS = 3
SCHEMA = """
    CREATE TABLE account (id serial PRIMARY KEY, balance int NOT NULL);
    CREATE TABLE movement (id bigserial PRIMARY KEY, source int NOT NULL REFERENCES account (id),
                           target int NOT NULL REFERENCES account (id), amount int NOT NULL, note text);
    INSERT INTO account (balance) SELECT 1000 FROM generate_series(1, 200);
    INSERT INTO movement (source, target, amount, note) SELECT 1, 2, 0, repeat(md5(n::text), 20)
    FROM generate_series(1, 60000) n;
"""
MOVE = """
    WITH taken AS (UPDATE account SET balance = balance - 1 WHERE id = %(a)s),
         given AS (UPDATE account SET balance = balance + 1 WHERE id = %(b)s)
    INSERT INTO movement (source, target, amount) VALUES (%(a)s, %(b)s, 1)
"""


class Writers:
    """Threads that move money, insert and delete until told to stop; an error of theirs fails the drill."""

    def __init__(self, server: Server) -> None:
        self.server, self.stop = server, threading.Event()
        self.written = [0] * WRITERS
        self.threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def _write(self, number: int) -> None:
        with self.server.connect("bank", autocommit=True) as session:
            while not self.stop.is_set():
                turn = self.written[number]
                # each writer has its own accounts, so none waits for another
                pair = {"a": 1 + number + WRITERS * (turn % 20), "b": 100 + number + WRITERS * (turn % 20)}
                session.execute(MOVE, pair)
                if turn % 10 == 0:
                    session.execute("DELETE FROM movement WHERE id = (SELECT min(id) + %s FROM movement)", (number,))
                self.written[number] += 1

    def __enter__(self) -> Self:
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for one in self.threads:
            one.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A database in which the sum of all balances never changes."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        with one.connect("postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE bank")
        with one.connect("bank") as session:
            session.execute(SCHEMA.encode())
        yield one


def test_a_backup_under_write_load_restores_to_exactly_its_manifest(server: Server, tmp_path: Path) -> None:
    """Writers never stop, the snapshot lies in the middle, and nothing of before or after it is in the backup."""
    shelf = Shelf(tmp_path / "shelf", Keys(tmp_path / "signing.key"))
    journal: dict[str, str] = {}
    told: list[Manifest] = []

    def announce(manifest: Manifest, digest: str) -> None:
        told.append(manifest)
        journal[manifest.id] = digest

    with Writers(server) as writers, shelf.held("drill"):
        wait_for(writers, 50)
        before = sum(writers.written)
        backup = take(server, shelf, Order("bank"), announce)
        during = sum(writers.written) - before
        wait_for(writers, sum(writers.written) + 50)
    assert during > 50, "the writers stood still while the backup was taken"
    climb = Verifier(server.engine, shelf, journal.get).full(backup)
    assert [one.name for one in climb.rungs][-2:] == ["equal", "sound"]
    with server.connect("bank") as live:
        now = {name: one.hash for name, one in contents(live).items()}
        moved = sequences(live)
    said = told[0].state
    assert now["public.account"] != said.tables["public.account"].hash
    assert now["public.movement"] != said.tables["public.movement"].hash
    assert moved["public.movement_id_seq"] != said.sequences["public.movement_id_seq"]
    print(f"{during} writes while the backup was taken")  # noqa: T201 -- a figure of the report


def wait_for(writers: Writers, count: int) -> None:
    """Until so much was written."""
    for _ in range(600):
        if sum(writers.written) >= count:
            return
        writers.stop.wait(0.05)
    pytest.fail(f"only {sum(writers.written)} writes: {writers.threads}")


def test_no_truncate_falls_between_snapshot_and_dump(server: Server, tmp_path: Path) -> None:
    """TRUNCATE empties a table for every older snapshot. It waits, and the backup is whole or there is none."""
    with server.connect("bank", autocommit=True) as session:
        session.execute("DROP TABLE IF EXISTS short; CREATE TABLE short (a int); INSERT INTO short VALUES (1)")
        shelf = Shelf(tmp_path / "shelf", Keys(tmp_path / "signing.key"))
        waiting = threading.Thread(target=truncate, args=(server,))
        seen: list[bool] = []

        def waits() -> bool:
            row = session.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            return bool(row and row[0])

        def progress(_done: int, _total: int) -> None:
            if waiting.ident is None:
                waiting.start()
                until(lambda: not waiting.is_alive() or waits())
            seen.append(waits())

        with shelf.held("drill"):
            try:
                take(server, shelf, Order("bank", progress=progress), lambda _manifest, _digest: None)
            except CommandFailed as refusal:
                told = ("could not obtain lock", "canceling statement due to")
                assert any(one in refusal.found for one in told)  # noqa: PT017 -- one of two good ends
        waiting.join()
    assert any(seen), "the TRUNCATE did not wait for the backup"
    assert [one.manifest().state.tables["public.short"].count for one in shelf.all()] in ([], [1])
    assert list(shelf.folder.glob(".room-*")) == []


def truncate(server: Server) -> None:
    """Empty the table, as soon as one may."""
    with server.connect("bank", autocommit=True) as session:
        session.execute("TRUNCATE short")
