"""`rollback migration check` as people run it: its table, its exit codes, and nothing left behind after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drills.database.migration_folder import pair, written
from drills.database.servers import IMAGE
from rollback import commands
from rollback.database import disposable
from rollback.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.database]

REFERENCE = Path(__file__).parents[2] / "fixtures/spheroseg"
MIGRATIONS, ROLLBACKS = REFERENCE / "packages/backend/migrations", REFERENCE / "scripts/rollback"


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as people run it."""
    argv = [sys.executable, "-m", "rollback", "migration", "check", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_reference_migrations_are_judged(tmp_path: Path) -> None:
    """The real command: 010 to 012 come back whole, 001 to 009 have no rollback and say so; exit code 20."""
    done = command(str(MIGRATIONS), "--rollbacks", str(ROLLBACKS), "--image", IMAGE, "--json", cwd=tmp_path)
    told: dict[str, Any] = json.loads(done.stdout)
    good = {one["migration"][:3] for one in told["migrations"] if one["reversible"]}
    missing = {one["migration"][:3] for one in told["migrations"] if not one["rollback_found"]}
    assert (done.returncode, told["outcome"], told["exit"]) == (20, "refused", 20)
    assert good == {"010", "011", "012"}
    assert missing == {f"00{number}" for number in range(1, 10)}
    assert all(one["applies"] for one in told["migrations"])
    assert all(one["rows_compared"] >= 27 for one in told["migrations"] if one["reversible"])
    assert told["tables_without_rows"] == {}


def test_a_good_folder_ends_with_0(tmp_path: Path) -> None:
    """One table for people, with the number of rows that the answer rests on."""
    files = pair("ALTER TABLE parents ADD COLUMN more text;", "ALTER TABLE parents DROP COLUMN more;")
    written(tmp_path, {**files, "001_base_rollback.sql": "DROP TABLE parents;"})
    done = command(str(tmp_path), "--image", IMAGE, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 can be taken back" in done.stdout
    assert re.search(r"002_one +yes +found +yes +yes +yes +3 +yes", done.stdout)


def test_an_interrupted_check_leaves_no_server(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a statement: exit code 130, and no container of this process stays."""
    written(tmp_path, {"001_long.sql": "SELECT pg_sleep(120);"})
    argv = [sys.executable, "-m", "rollback", "migration", "check", str(tmp_path), "--image", IMAGE]
    with subprocess.Popen(
        argv,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=_interruptible,  # noqa: PLW1509 -- one call into the kernel, before anything else of the child
    ) as operator:
        deadline = time.monotonic() + 60
        while not _asleep(operator.pid):
            assert time.monotonic() < deadline, "the statement never ran"
            time.sleep(0.1)
        assert len(_containers(operator.pid)) == 2
        os.kill(operator.pid, signal.SIGINT)
        _, err = operator.communicate(timeout=60)
    assert operator.returncode == 130, err
    assert _containers(operator.pid) == []


def _interruptible() -> None:
    """As from a terminal: what a shell starts in the background has SIGINT ignored, and its children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _containers(pid: int) -> list[str]:
    """IDs of the containers of that process."""
    rows = Engine(Path("/")).ask(commands.labelled(disposable.LABEL)).splitlines()
    return [row.split()[0] for row in rows if row.split()[-1].startswith(f"{pid}/")]


def _asleep(pid: int) -> bool:
    """Whether a backend of its server is in a statement."""
    engine = Engine(Path("/"))
    return any("SELECT" in engine.run(["docker", "top", one]).out for one in _containers(pid))
