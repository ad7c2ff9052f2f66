"""The command in a process of its own: it ends as the one in this process does, and as shells expect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback import lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from drills.unit.conftest import Command, Said


def started(checkout: Path, *words: str, path: Path | None = None) -> subprocess.Popen[str]:
    """The real command in a process of its own; without `path` there is no docker to be found."""
    environment = {**os.environ, "PATH": str(path or checkout / "nothing here"), "COLUMNS": "120"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    argv = [sys.executable, "-m", "rollback", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv,
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=_interruptible,  # noqa: PLW1509 -- one call into the kernel, before anything else of the child
    )


def _interruptible() -> None:
    """As from a terminal: what a shell starts in the background has SIGINT ignored, and its children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def really(checkout: Path, *words: str) -> Said:
    """Exit code, standard output and standard error of the command in a process of its own."""
    with started(checkout, *words) as process:
        out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_a_state_folder_that_is_a_file_is_a_sentence(checkout: Path) -> None:
    """What the file system refuses ends in an exit code of the table and without a traceback."""
    (checkout / ".rollback").write_text("not a folder")
    code, _, err = really(checkout, "application", "v1", "--yes")
    assert code in {2, 20, 50}
    assert "Not a directory" in err or "File exists" in err


def interruptible(ended: Callable[[subprocess.Popen[str]], None], checkout: Path, folder: Path) -> tuple[int, str]:
    """Let a command wait for a docker that never answers, and end it like this."""
    folder.mkdir()
    pipe = folder / "asked"
    os.mkfifo(pipe)
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\necho asked > '{pipe}'\nexec /bin/sleep 20\n")
    docker.chmod(0o755)
    with started(checkout, "release", "record", "v1", path=folder) as process:
        pipe.read_text()
        ended(process)
        _, err = process.communicate(timeout=15)
    return process.returncode, err


SAME = {
    "help": (["--help"], 0),
    "help of a procedure": (["application", "--help"], 0),
    "wrong option": (["application", "v1", "--force"], 2),
    "bad name": (["application", "a b", "--yes"], 2),
    "no settings": (["application", "v1", "-C", "no/where"], 2),
    "unknown release": (["application", "v9", "--yes"], 20),
}


@pytest.mark.parametrize(("words", "code"), SAME.values(), ids=SAME)
def test_the_command_of_the_shell_is_the_one_tested_here(
    typed: Command, checkout: Path, words: list[str], code: int
) -> None:
    """In a process of its own it ends with the same code and the same words."""
    shell, here = really(checkout, *words), typed(checkout, *words)
    assert shell[0] == here[0] == code
    shown = [text.replace("python -m rollback", "rollback").split() for text in shell[1:]]
    assert shown == [text.split() for text in here[1:]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_an_interrupted_command_ends_as_shells_expect(checkout: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM outside of a run end with 130, without a traceback, and leave the lock free."""
    code, err = interruptible(lambda process: process.send_signal(number), checkout, tmp_path / "bin")
    assert code == 130
    assert "Traceback" not in err
    with lock.held(checkout / ".rollback" / "lock", "the next"):
        pass


def test_ctrl_c_of_the_whole_group_is_no_failure_of_docker(checkout: Path, tmp_path: Path) -> None:
    """A terminal interrupts docker as well: what docker says of its end is not taken for the reason."""
    code, err = interruptible(lambda process: os.killpg(process.pid, signal.SIGINT), checkout, tmp_path / "bin")
    assert (code, err.splitlines()[-1]) == (130, "interrupted")
