"""Places for stacks: as many as the host has cores for, and given back whatever happens."""

from __future__ import annotations

import getpass
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock, Timeout

from fixtures.slots import slot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("cores", "places"), [(1, 1), (2, 1), (4, 2), (9, 4)])
def test_two_cores_a_place(tmp_path: Path, cores: int, places: int) -> None:
    """One more has to wait until one is given back."""
    came = threading.Event()

    def another() -> None:
        with slot(tmp_path, cores):
            came.set()

    with ExitStack() as held:
        for _ in range(places):
            held.enter_context(slot(tmp_path, cores))
        waiting = threading.Thread(target=another, daemon=True)
        waiting.start()
        assert not came.wait(0.5)
    assert came.wait(10)
    waiting.join()


def test_a_block_that_fails_gives_its_place_back(tmp_path: Path) -> None:
    """The next one does not wait."""
    with pytest.raises(ZeroDivisionError), slot(tmp_path, 1):
        raise ZeroDivisionError
    with slot(tmp_path, 1):
        pass


def test_whoever_has_waited_is_first(tmp_path: Path) -> None:
    """A run that goes from drill to drill would else keep its place to the end, whoever waits."""
    ended, order = threading.Event(), list[str]()
    turn = FileLock(tmp_path / f"spheroseg-drills-{getpass.getuser()}-next.lock")

    def another() -> None:
        with slot(tmp_path, 1):
            order.append("who waited")
            ended.wait(30)

    with slot(tmp_path, 1):
        waiting = threading.Thread(target=another, daemon=True)
        waiting.start()
        deadline = time.monotonic() + 30
        while _is_free(turn):
            assert time.monotonic() < deadline, "nobody waits for his turn"
            time.sleep(0.01)
    threading.Timer(1.0, ended.set).start()
    with slot(tmp_path, 1):
        order.append("who gave it back")
    assert order == ["who waited", "who gave it back"]
    waiting.join()


def _is_free(lock: FileLock) -> bool:
    try:
        with lock.acquire(blocking=False):
            return True
    except Timeout:
        return False
