"""The reload of the edge in one program: which part of it failed, and who accepted connections before."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from rollback.engine import Result
from rollback.outcome import Failed
from rollback.parts.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rollback.deployment import Deployment


@dataclass
class Here:
    """A deployment whose edge is this host: the same shell, the same /proc."""

    test: list[str]
    reload: list[str]

    @property
    def settings(self) -> Any:
        """The two commands."""
        return SimpleNamespace(edge=self)

    def in_edge(self, command: Sequence[str], *, question: bool = False) -> Result:
        """Run it, whether it asks or acts."""
        del question
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)


def edge(test: str, reload: str) -> Edge:
    """With these two for nginx, as a shell would run them."""
    return Edge(cast("Deployment", Here(["sh", "-c", test], ["sh", "-c", reload])))


@pytest.fixture
def workers() -> Iterator[tuple[str, str]]:
    """PIDs of a process with the title of a worker that accepts connections, and of one that is on its way out."""
    titles = ["nginx: worker process ", "nginx: worker process is shutting down "]
    code = "import sys; print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    found = [
        subprocess.Popen([title, "-c", code], executable=sys.executable, stdin=pipe, stdout=pipe) for title in titles
    ]
    for one in found:
        assert one.stdout
        one.stdout.readline()
    yield str(found[0].pid), str(found[1].pid)
    for one in found:
        one.communicate()


def test_the_workers_of_before_are_known(workers: tuple[str, str]) -> None:
    """Those that accept; one that is finishing its requests is none of them, and neither is anything else."""
    found = edge("true", "true")._reload()  # noqa: SLF001 -- the part that talks to the shell
    assert workers[0] in found
    assert not found & {workers[1], str(os.getpid())}


@pytest.mark.parametrize(
    ("test", "reload", "told"),
    [
        (
            "echo broken >&2; exit 3",
            "echo reloaded",
            "`sh -c echo broken >&2; exit 3` in the edge ended with 3: broken",
        ),
        ("true", "echo no >&2; exit 4", "`sh -c echo no >&2; exit 4` in the edge ended with 4: no"),
        ("no-such-nginx -t", "true", "`sh -c no-such-nginx -t` in the edge ended with 127: "),
    ],
    ids=["files", "reload", "no nginx"],
)
def test_what_failed_is_named(test: str, reload: str, told: str) -> None:
    """The operator reads which of the two it was."""
    with pytest.raises(Failed) as caught:
        edge(test, reload)._reload()  # noqa: SLF001 -- same
    assert caught.value.found.startswith(told)


def test_files_that_fail_are_never_reloaded(tmp_path: Path) -> None:
    """The test is there for that."""
    mark = tmp_path / "reloaded"
    with pytest.raises(Failed):
        edge("false", f"touch '{mark}'")._reload()  # noqa: SLF001 -- same
    assert not mark.exists()


@pytest.mark.parametrize("said", ["Container 1 is restarting, wait", "Cannot connect to the Docker daemon", ""])
def test_workers_that_cannot_be_listed_are_not_done(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """A replaced release would be stopped under uploads that go on, and the journal would say that they ended."""
    monkeypatch.setattr(Here, "in_edge", lambda *_, **__: Result(1, "", said))
    with pytest.raises(Failed, match=r"cannot be listed: .+\."):
        edge("true", "true").draining()


def test_an_edge_whose_old_workers_are_done_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """As nginx titles its processes; each line ends with the PID."""
    listed = "nginx: master process nginx -c /etc/nginx/nginx.conf 1\nnginx: worker process 30\n"
    old = "nginx: worker process is shutting down 29\n"
    for out, done in ((listed, True), (listed + old, False)):
        monkeypatch.setattr(Here, "in_edge", lambda *_, out=out, **__: Result(1, out, ""))
        assert edge("true", "true").draining().holds is done
