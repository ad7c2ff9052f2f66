"""A headless Chromium, driven by its own DevTools protocol over a pair of pipes.

No port is opened: whoever else is on the host cannot reach a browser that knows a password. No driver is needed, and
nothing is downloaded: the browser is the distribution's own.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback.engine import environment
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["NAMES", "Page", "installed", "opened"]

#: What the browser is called, in the order in which it is looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: The descriptors that `--remote-debugging-pipe` reads from and writes to.
_IN, _OUT, _HIGH = 3, 4, 10
_ANSWER_SECONDS = 30.0
_END_SECONDS = 5.0
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--password-store=basic", "--no-proxy-server",
    # certificates are judged by another line of the checklist
    "--ignore-certificate-errors",
)  # fmt: skip


def installed(chosen: str | None) -> str | None:
    """Path of the browser: the chosen one, or the first that is on PATH."""
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """One tab.

    Attributes:
        events: what the browser told unasked, in order: method and parameters.
    """

    reads: int
    writes: int
    session: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _number: int = 0
    _rest: bytes = b""

    def call(self, method: str, **words: Any) -> dict[str, Any]:
        """Ask the browser to do something.

        Raises:
            Failed: it refuses, does not answer within 30 s, or has ended.
        """
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": words}
        if self.session:
            asked["sessionId"] = self.session
        try:
            os.write(self.writes, json.dumps(asked).encode() + b"\0")
        except BrokenPipeError:
            raise Failed("The browser has ended.") from None
        deadline = time.monotonic() + _ANSWER_SECONDS
        while (told := self._next(deadline)).get("id") != self._number:
            self._heard(told)
        if "error" in told:
            raise Failed(f"The browser refuses {method}: {told['error'].get('message')}.")
        answer: dict[str, Any] = told["result"]
        return answer

    def _heard(self, told: dict[str, Any]) -> None:
        if "method" in told:
            self.events.append((told["method"], told.get("params", {})))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.reads], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise Failed(f"The browser did not answer within {_ANSWER_SECONDS:g} s.")
            more = os.read(self.reads, 1 << 16)
            if not more:
                raise Failed("The browser has ended.")
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(text)
        return told

    def run(self, function: str, *words: str) -> Any:
        """Call a JavaScript function in the page with texts; gives back what it returns, or what its promise does.

        Raises:
            Failed: it throws.
        """
        there = self.call("Runtime.evaluate", expression="globalThis")["result"]["objectId"]
        told = self.call(
            "Runtime.callFunctionOn",
            functionDeclaration=function,
            objectId=there,
            arguments=[{"value": word} for word in words],
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in told:
            raise Failed(f"In the page: {exception(told['exceptionDetails'])}.")
        return told["result"].get("value")


def exception(details: dict[str, Any]) -> str:
    """The first line of what was thrown."""
    text = str(details.get("exception", {}).get("description") or details.get("text") or "an exception")
    return text.splitlines()[0]


@contextmanager
def opened(program: str, rules: str) -> Iterator[Page]:
    """A browser with one empty tab and a profile of its own, both gone with the block.

    Args:
        program: the browser.
        rules: by which address a name is reached.

    Raises:
        Failed: it does not start, with the end of what it wrote.
    """
    with ExitStack() as stack:
        # the browser's children may still write into it when it has been ended
        made = tempfile.TemporaryDirectory(prefix="rollback-browser-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        # root has no sandbox to go into; the only page that is opened is the deployment's own
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        argv = [program, *_FLAGS, *alone, f"--user-data-dir={folder / 'profile'}", f"--host-resolver-rules={rules}"]
        page = stack.enter_context(_started([*argv, "about:blank"], folder))
        try:
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        except Failed as stop:
            said = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise Failed(f"{program} cannot be used: {stop.found} {' | '.join(said)}") from stop
        yield page


@contextmanager
def _started(argv: Sequence[str], folder: Path) -> Iterator[Page]:
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    theirs = [fcntl.fcntl(one, fcntl.F_DUPFD, _HIGH) for one in (theirs_in, theirs_out)]
    for one in (theirs_in, theirs_out):
        os.close(one)
    log = str(folder / "log")
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, theirs[0], _IN),
        (os.POSIX_SPAWN_DUP2, theirs[1], _OUT),
    ]
    seen = {**environment(os.environ), "HOME": str(folder)}
    try:
        child = os.posix_spawn(argv[0], list(argv), seen, file_actions=actions, setsid=True)
    finally:
        for one in theirs:
            os.close(one)
    try:
        yield Page(ours_in, ours_out)
    finally:
        os.close(ours_out)
        _end(child)
        os.close(ours_in)


def _end(child: int) -> None:
    """A browser whose pipe was closed ends by itself; what of its group is left then is ended."""
    _await(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.waitpid(child, 0)


def _await(over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while not over() and time.monotonic() < deadline:
        time.sleep(0.05)
