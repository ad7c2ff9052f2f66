"""The one door to docker, docker compose and git: everything that is executed is executed here."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from rollback import commands, lock, look
from rollback.outcome import Failed
from rollback.questions import asks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rollback.commands import Argv
    from rollback.plan import Reading

_Done: TypeAlias = subprocess.CompletedProcess[bytes]

__all__ = ["AWAY", "POLL_SECONDS", "CommandFailed", "Engine", "Result", "inspected", "wait_for", "wait_until"]

#: Variables that reach the commands. All others stay outside: a SPHEROSEG_VERSION exported in the operator's
#: shell would win over the env files, and the next `up` from another shell would undo the rollback.
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")
_PASSED_ON_PREFIXES = ("DOCKER_", "BUILDKIT_", "BUILDX_")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")

#: What docker says where the engine does not answer at all.
AWAY = ("cannot connect to the docker daemon", "error during connect")

POLL_SECONDS = 0.05
_SIDE_BY_SIDE = 4
_DAY = 24 * 3600.0


class CommandFailed(Failed):
    """A command ended with another exit code than 0, or not in time."""


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    code: int
    out: str
    err: str


def inspected(result: Result) -> list[dict[str, Any]]:
    """What `docker ... inspect` has found; what is not there is not in it.

    Raises:
        CommandFailed: the engine did not answer: then nothing is known, and nothing may be taken for gone.
    """
    if result.code != 0 and any(one in result.err.lower() for one in AWAY):
        raise CommandFailed(f"The engine does not answer: {_tail(result.err)}", "start it, then repeat this")
    found: list[dict[str, Any]] = json.loads(result.out or "[]")
    return found


def environment(source: Mapping[str, str]) -> dict[str, str]:
    """The variables that commands may see."""
    return {
        key: value
        for key, value in source.items()
        if key in _PASSED_ON or key.startswith(_PASSED_ON_PREFIXES) or key.lower() in _PROXIES
    }


@dataclass(frozen=True)
class Engine:
    """Runs argv lists in the checkout. Secrets go in through `stdin`, never through the argv."""

    root: Path

    def run(
        self,
        argv: Argv,
        *,
        stdin: str | None = None,
        seconds: float = 300,
        env: Mapping[str, str] | None = None,
        question: bool = False,
    ) -> Result:
        """Run a command to its end and give back its answer, whatever the exit code.

        Args:
            argv: the program and its arguments.
            stdin: what it reads.
            seconds: how long it may take.
            env: more variables.
            question: the caller knows that it changes nothing, as `questions.asks` knows of others: it is put once in
                a look. Whatever is no question ends what looks remember.

        Raises:
            CommandFailed: when it did not end within the given seconds, or could not be started.
        """
        asked = not env and (question or asks(argv))

        def answer() -> Result:
            return _result(self._ended(argv, seconds, env or {}, question=asked, input=(stdin or "").encode()))

        return look.answer((self.root, stdin, *argv), answer) if asked else answer()

    def _ended(
        self, argv: Argv, seconds: float, env: Mapping[str, str], *, question: bool = False, **streams: Any
    ) -> _Done:
        """The one place where a process is started; its streams are the caller's."""
        program = self._direct(argv)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        seen = {**environment(os.environ), **env}
        try:
            with nullcontext() if question or asks(argv) else look.change():
                return subprocess.run(
                    program, timeout=seconds, cwd=self.root, env=seen, check=False, pass_fds=lock.handles(), **streams
                )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"`{shlex.join(argv)}` did not end within {seconds:g} s.") from None
        except FileNotFoundError:
            raise CommandFailed(f"`{argv[0]}` is not installed or not on PATH.", f"install {argv[0]}") from None

    def _direct(self, argv: Argv) -> Argv:
        """`docker compose` without docker in front: it would only find the same program, and take as long again."""
        if argv[:2] != ["docker", "compose"] or self._compose is None:
            return argv
        return [self._compose, *argv[2:]]

    @cached_property
    def _compose(self) -> str | None:
        """Path of the program that docker starts for `docker compose`, as docker says; None where it does not."""
        try:
            said = json.loads(self.run(commands.plugins()).out) or []
            paths = [str(one["Path"]) for one in said if one["Name"] == "compose" and not one.get("Err")]
        except (ValueError, KeyError, TypeError):
            return None
        return paths[0] if paths and os.access(paths[0], os.X_OK) else None

    def ask(self, argv: Argv, *, stdin: str | None = None, seconds: float = 300, question: bool = False) -> str:
        """The standard output of a command that must succeed; `question`: see `run`.

        Raises:
            CommandFailed: with the end of its standard error.
        """
        result = self.run(argv, stdin=stdin, seconds=seconds, question=question)
        if result.code != 0:
            raise CommandFailed(f"`{shlex.join(argv)}` ended with exit code {result.code}: {_tail(result.err)}")
        return result.out

    def ask_all(self, argvs: Sequence[Argv], *, seconds: float = 300) -> list[str]:
        """Several commands side by side; the first failure is raised after all have ended."""
        if not argvs:
            return []
        with ThreadPoolExecutor(len(argvs)) as pool:
            # each within the caller's look, which a thread would not see by itself
            waiting = [pool.submit(copy_context().run, partial(self.ask, argv, seconds=seconds)) for argv in argvs]
        return [one.result() for one in waiting]

    def build(self, argv: Argv, args: Mapping[str, str]) -> None:
        """Build an image, with its build arguments in the environment; the classic builder where there is no buildx.

        Raises:
            CommandFailed: with the whole build log.
        """
        classic = self.run(["docker", "buildx", "version"]).code != 0
        result = self.run(argv, seconds=1800, env={**args, **({"DOCKER_BUILDKIT": "0"} if classic else {})})
        if result.code != 0:
            raise CommandFailed(f"the build failed:\n{result.out}{result.err}", "mend the build")

    def save(self, argv: Argv, target: Path, *, both: bool = False, seconds: float = 3600) -> Result:
        """Run a command with its output written to a file that only the owner reads; `both`: errors too."""
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        errors = subprocess.STDOUT if both else subprocess.PIPE
        with os.fdopen(handle, "wb") as out:
            done = self._ended(argv, seconds, {}, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
            os.fsync(out.fileno())
        return _result(done)

    def save_all(self, argvs: Mapping[Path, Argv]) -> None:
        """Several commands side by side, each with its output and its errors in a file; an error is in the file."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            waiting = [pool.submit(self.save, argv, target, both=True) for target, argv in argvs.items()]
        for one in waiting:
            one.result()

    @contextmanager
    def outflow(self, argv: Argv, *, whole: bool = True, seconds: float = _DAY) -> Iterator[IO[bytes]]:
        """The output of a command as a stream that is read in the block; nothing of it is held.

        Args:
            argv: the command.
            whole: its end counts; False: the block may stop reading.
            seconds: after which it is killed.

        Raises:
            CommandFailed: it did not end well, or not in time.
        """
        with self._flowing(argv, seconds, whole=whole, stdout=subprocess.PIPE) as process:
            yield _there(process.stdout)

    @contextmanager
    def inflow(self, argv: Argv, *, seconds: float = _DAY) -> Iterator[IO[bytes]]:
        """The input of a command as a stream that is written in the block.

        Raises:
            CommandFailed: it did not end well, or not in time.
        """
        flowing = self._flowing(argv, seconds, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with look.change(), flowing as process:
            yield _there(process.stdin)

    @contextmanager
    def _flowing(
        self, argv: Argv, seconds: float, *, whole: bool = True, **streams: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A block that fails ends the command; a pipe that breaks is told by what the command says of its end."""
        seen, open_too = environment(os.environ), lock.handles()
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                argv,
                cwd=self.root,
                env=seen,
                pass_fds=open_too,
                stderr=errors,
                **{"stdin": subprocess.DEVNULL, **streams},
            )
            late = threading.Timer(seconds, process.kill)
            late.start()
            try:
                with suppress(BrokenPipeError):
                    yield process
                    if process.stdin is not None:
                        process.stdin.close()
                code = process.wait() if whole else 0
            finally:
                late.cancel()
                _put_away(process)
            errors.seek(0)
            if code != 0:
                said = _tail(errors.read().decode(errors="replace"))
                raise CommandFailed(f"`{shlex.join(argv)}` ended with exit code {code}: {said}")

    def feed(self, argv: Argv, source: Path, *, seconds: float = 3600) -> Result:
        """Run a command with a file as its standard input."""
        with source.open("rb") as file:
            return _result(self._ended(argv, seconds, {}, stdin=file))


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("a process without the pipe that was asked for")
    return stream


def _put_away(process: subprocess.Popen[bytes]) -> None:
    """Neither the process nor its pipes outlive the block."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    if process.poll() is None:
        process.kill()
    process.wait()


def _result(done: _Done) -> Result:
    """Output that is not UTF-8 is shown as far as it is."""
    out, err = ((stream or b"").decode(errors="replace") for stream in (done.stdout, done.stderr))
    return Result(done.returncode, out, err)


def _tail(text: str, lines: int = 5) -> str:
    return " | ".join(text.strip().splitlines()[-lines:]) or "no message"


def wait_until(seen: Callable[[], tuple[bool, str]], *, seconds: float, what: str) -> str:
    """Poll until the condition holds and return what was seen; every time with a look of its own.

    Raises:
        Failed: after `seconds`, with the last observation: the sentence an operator needs.
    """
    deadline = time.monotonic() + seconds
    while True:
        with look.anew():
            ok, observation = seen()
        if ok:
            return observation
        if time.monotonic() >= deadline:
            raise Failed(f"{what} did not come true within {seconds:g} s; last seen: {observation}.")
        time.sleep(POLL_SECONDS)


def wait_for(read: Callable[[], Reading], *, seconds: float, what: str) -> None:
    """`wait_until` for a reading. What cannot be read yet is not so yet: a program that starts does not answer at once.

    Raises:
        Failed: after `seconds`, with what was seen last, or why it could not be read.
    """

    def seen() -> tuple[bool, str]:
        try:
            now = read()
        except Failed as stop:
            return False, stop.found
        return now.holds, now.seen

    wait_until(seen, seconds=seconds, what=what)
