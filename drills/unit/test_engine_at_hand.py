"""No engine is started where the user chose another one, and every refusal says what to do."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from typing import TYPE_CHECKING

import pytest

from fixtures import engine
from fixtures.command import Outcome, run

if TYPE_CHECKING:
    from pathlib import Path

SILENT = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


def asked(stderr: str, status: int = 1) -> Outcome:
    """What the docker client said."""
    return Outcome(("docker", "version"), status, "", stderr)


@pytest.fixture
def own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine was chosen."""
    monkeypatch.setattr(engine, "chosen_endpoint", lambda: None)
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def test_chosen_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that the user chose and that does not answer is not replaced by another."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2375")
    with pytest.raises(engine.EngineUnavailable, match=r"tcp://far:2375 does not answer.*unset DOCKER_HOST"):
        engine._refuse_hopeless(asked(SILENT))  # noqa: SLF001 - the decision, without an engine


@pytest.mark.usefixtures("own_machine")
@pytest.mark.parametrize(
    ("stderr", "advice"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "group `docker`"),
        ("client version 1.41 is too old. Minimum supported API version is 1.44", "update the older"),
        (SILENT, "systemctl start docker"),
    ],
    ids=["permission", "versions", "not running"],
)
def test_refusal(monkeypatch: pytest.MonkeyPatch, stderr: str, advice: str) -> None:
    """Each refusal says what to do."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(engine.EngineUnavailable, match=advice):
        engine._refuse_hopeless(asked(stderr))  # noqa: SLF001 - the decision, without an engine


@pytest.mark.usefixtures("own_machine")
def test_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is not refused: it can start an engine."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    engine._refuse_hopeless(asked(SILENT))  # noqa: SLF001 - the decision, without an engine


def test_pid_files(tmp_path: Path) -> None:
    """Only a PID file whose number belongs to another program, or to none, is forgotten."""
    for pid, name in {"7": "dockerd", "8": "bash"}.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
    files = {tmp_path / f"{pid}.pid": "dockerd" for pid in ("7", "8", "9")}
    for path in files:
        path.write_text(path.stem)
    engine.forget_dead(files, proc=tmp_path)
    assert [path.stem for path in files if path.exists()] == ["7"]


def test_daemon_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ends at once is reported with the end of its log."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "GIVE_UP_S", 0.0)
    daemon = tmp_path / "dockerd"
    daemon.write_text("#!/bin/sh\necho no space left on device\nexit 1\n")
    daemon.chmod(0o755)
    with pytest.raises(engine.EngineUnavailable, match=r"(?s)ended at once.*no space left on device"):
        engine.start(str(daemon), lambda _line: None, ["--of-our-own"], lambda: None)


def test_daemon_outlives_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that goes on is left alone: nothing complains when its starter forgets it, and it is its own session."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    daemon, told = tmp_path / "dockerd", tmp_path / "pid"
    daemon.write_text(f"#!/bin/sh\necho $$ > '{told}.new'; mv '{told}.new' '{told}'; exec sleep 60\n")
    daemon.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.start(str(daemon), lambda _line: None, ["--of-our-own"], lambda: "20.10" if told.exists() else None)
        gc.collect()
    pid = int(told.read_text())
    try:
        assert os.getsid(pid) == pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_missing_program() -> None:
    """A missing program is an outcome with its name."""
    outcome = run(["no-such-program"])
    assert (outcome.status, outcome.said) == (127, "no-such-program: not found")


def test_time_limit() -> None:
    """A program beyond its limit is an outcome with the limit."""
    assert run(["sleep", "5"], limit_s=0.1).said == "no answer within 0.1 s"


def test_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of ours can be kept from a program."""
    monkeypatch.setenv("GIT_DIR", "elsewhere")
    assert "GIT_DIR" not in run(["env"], env={"GIT_DIR": None}).stdout
