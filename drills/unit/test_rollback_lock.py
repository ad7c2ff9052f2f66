"""The lock: one command at a time, its holder named, and never held by the dead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rollback import lock
from rollback.outcome import Exit, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from rollback import lock
with lock.held(Path(sys.argv[1]), "application"):
    print("held", flush=True)
    sys.stdin.read()
"""
#: A holder that dies and leaves a child of its own behind, started through the one door.
LEAVE_A_CHILD = """
import sys
from pathlib import Path
from rollback import lock
from rollback.engine import Engine
with lock.held(Path(sys.argv[1]), "application"):
    print("held", flush=True)
    script = "import pathlib, sys, time; one = pathlib.Path(sys.argv[1]); one.touch(); time.sleep(float(sys.argv[2]))"
    script += "; one.write_text('done')"
    Engine(Path(sys.argv[1]).parent).run([sys.executable, "-c", script, sys.argv[2], sys.argv[3]])
"""


@contextmanager
def holder(path: Path, program: str = HOLD, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    argv = [sys.executable, "-c", program, str(path), *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_command_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """The refusal says who, for what, since when and with which pid, and what to do."""
    path = tmp_path / "lock"
    with holder(path) as other, pytest.raises(Refused) as caught, lock.held(path, "resume"):
        pytest.fail("two hold the lock")
    said = re.fullmatch(
        r"(\S+)@(\S+) has held the lock of this deployment since (\S+) for `application` \(pid (\d+)\)\.",
        caught.value.found,
    )
    assert said
    assert int(said[4]) == other.pid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", said[3])
    assert (caught.value.exit, caught.value.next_step) == (Exit.REFUSED, "wait for it, or talk to them")


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """SIGKILL leaves no stale lock: it is free as soon as the process is gone."""
    path = tmp_path / "lock"
    with holder(path) as other:
        other.kill()
        other.wait()
        with lock.held(path, "resume"):
            assert '"what": "resume"' in path.read_text()


@contextmanager
def orphan(path: Path, seconds: float) -> Iterator[Path]:
    """What a killed command has started goes on for some seconds, and says in a file when it is done."""
    begun = path.with_name("begun")
    with holder(path, LEAVE_A_CHILD, str(begun), str(seconds)) as other:
        deadline = time.monotonic() + 30
        while not begun.exists():
            assert time.monotonic() < deadline, "what it starts never began"
            time.sleep(0.01)
        other.kill()
        # dead and still in the table of processes, as under a parent that has not looked yet
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        yield begun


def test_what_a_killed_command_has_started_is_waited_for(tmp_path: Path) -> None:
    """A `docker` that outlives its killed operator still changes the deployment: nobody works beside it."""
    path = tmp_path / "lock"
    with orphan(path, 1.0) as work, lock.held(path, "resume"):
        assert work.read_text(encoding="utf-8") == "done"


def test_what_a_killed_command_has_started_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """After the patience it is a refusal that says what to look for."""
    path = tmp_path / "lock"
    with orphan(path, 20.0), pytest.raises(Refused) as caught, lock.held(path, "resume", patience=0.2):
        pytest.fail("two hold the lock")
    assert "was killed, and what it started still works after 0.2 s" in caught.value.found


def test_only_children_of_a_holder_inherit_it(tmp_path: Path) -> None:
    """After the block nothing is handed on."""
    with lock.held(tmp_path / "lock", "one"):
        assert len(lock.handles()) == 1
    assert lock.handles() == ()


def test_it_is_free_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    """The lock ends with its block, however that ends, and can be taken again."""
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), lock.held(path, "one"):
        raise ZeroDivisionError
    with lock.held(path, "two"):
        pass
    with holder(path):
        pass


def test_within_one_process_it_is_held_as_well(tmp_path: Path) -> None:
    """The same process cannot take it twice."""
    path = tmp_path / "lock"
    with lock.held(path, "one"), pytest.raises(Refused, match="for `one`"), lock.held(path, "two"):
        pytest.fail("held twice")


def test_a_refused_command_does_not_change_who_holds_it(tmp_path: Path) -> None:
    """Asking for the lock leaves the holder's entry as it is."""
    path = tmp_path / "lock"
    with lock.held(path, "one"):
        before = path.read_bytes()
        with pytest.raises(Refused), lock.held(path, "two"):
            pytest.fail("held twice")
        assert path.read_bytes() == before


def test_a_shorter_entry_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    """What an earlier holder wrote is gone; the file is private."""
    path = tmp_path / "lock"
    path.write_text("x" * 4000)
    path.chmod(0o600)
    with lock.held(path, "one"), pytest.raises(Refused, match="for `one`"), lock.held(path, "two"):
        pytest.fail("held twice")
    assert "x" * 10 not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"x"'], ids=["empty", "cut", "list", "no keys", "text"])
def test_a_holder_that_cannot_be_read_still_holds(tmp_path: Path, content: str) -> None:
    """An entry that says nothing (its holder is just writing it) is a refusal and no traceback."""
    path = tmp_path / "lock"
    with lock.held(path, "one"):
        path.write_text(content)
        with pytest.raises(Refused, match="Another rollback command holds the lock"), lock.held(path, "two"):
            pytest.fail("held twice")


def test_two_deployments_have_two_locks(tmp_path: Path) -> None:
    """The lock of one deployment is nothing to another."""
    with lock.held(tmp_path / "a", "one"), lock.held(tmp_path / "b", "two"):
        pass
