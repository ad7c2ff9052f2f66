"""What the `rollback` command itself costs: its time, its imports, and every program that it starts.

`python drills/bench/command.py [FILE]` deploys a release that dies at start on a disposable stack, goes back to the
one before, and prints a line a command: seconds, programs started, and seconds by kind of program. FILE gets a JSON
line for every program: the command, the step in which it was started, its argv, when, and how long it took.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

GOOD, BAD = "v4.0.0", "v4.1.0-crash"
TRACE = "ROLLBACK_BENCH_TRACE"
ROUNDS = 5
COMMANDS = (
    ("application", GOOD, "--plan"),
    ("application", GOOD, "--yes"),
    ("application", GOOD, "--yes"),
    ("verify", GOOD),
    ("verify",),
    ("release", "list"),
    ("history",),
)


def traced() -> None:
    """Be the command, and write down every program that it starts."""
    from rollback import cli  # noqa: PLC0415 -- in the child alone: its import is a part of what is measured
    from rollback.engine import Engine  # noqa: PLC0415 -- same
    from rollback.journal import Journal  # noqa: PLC0415 -- same

    started, append = Engine._ended, Journal.append  # noqa: SLF001 -- the one place where a process is started
    step = ["before the plan"]

    def timed(self: Engine, argv: list[str], *words: Any, **more: Any) -> Any:
        began = time.monotonic()
        try:
            return started(self, argv, *words, **more)
        finally:
            _note(step[0], argv, began)

    def named(self: Journal, run: str, event: str, **data: Any) -> None:
        append(self, run, event, **data)
        step[0] = f"{event}: {data.get('step', '')}"

    Engine._ended = timed  # type: ignore[method-assign]  # noqa: SLF001 -- same
    Journal.append = named  # type: ignore[method-assign,assignment]
    cli.main()


def _note(step: str, argv: list[str], began: float) -> None:
    line = {"after": step, "argv": argv, "at": began, "seconds": round(time.monotonic() - began, 4)}
    with Path(os.environ[TRACE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def kind(argv: list[str]) -> str:
    """The program, without what differs from one call to the next."""
    words = [one for one in argv if not one.startswith("/")]
    if words[:2] == ["docker", "compose"]:
        return "compose " + next((one for one in words if one in ("config", "up", "run")), words[2])
    return " ".join(words[1:3] if words[1] in ("image", "container") else words[1:2])


def measured(words: tuple[str, ...], checkout: Path, folder: Path) -> tuple[float, float, list[dict[str, Any]]]:
    """Seconds of a command, of the cores for it and its programs, and the programs that it started."""
    trace = folder / "trace.jsonl"
    trace.write_text("", encoding="utf-8")
    argv = [sys.executable, __file__, "--traced", *words, "--directory", str(checkout)]
    began, before = time.monotonic(), _worked()
    done = subprocess.run(argv, env={**os.environ, TRACE: str(trace)}, capture_output=True, text=True, check=False)
    seconds, worked = time.monotonic() - began, _worked() - before
    if "Traceback" in done.stderr:
        raise RuntimeError(done.stderr)
    return seconds, worked, [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]


def _worked() -> float:
    """Seconds of the cores for all children so far; unlike the clock's they do not depend on what else runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told(words: tuple[str, ...], seconds: float, worked: float, programs: list[dict[str, Any]]) -> None:
    """A line, and one for each kind of program."""
    sums: defaultdict[str, list[float]] = defaultdict(list)
    for one in programs:
        sums[kind(one["argv"])].append(one["seconds"])
    print(f"rollback {' '.join(words)}: {seconds:.2f} s, {worked:.2f} s of the cores, {len(programs)} programs")
    for name, some in sorted(sums.items(), key=lambda one: -sum(one[1])):
        print(f"    {name:20} {len(some):4}  {sum(some):6.2f} s")


def bare() -> None:
    """The imports alone."""
    found = []
    for _ in range(ROUNDS):
        began, before = time.monotonic(), _worked()
        subprocess.run([sys.executable, "-m", "rollback", "--version"], cwd=ROOT, check=True, capture_output=True)
        found.append((time.monotonic() - began, _worked() - before))
    best, worked = (min(some) for some in zip(*found, strict=True))
    print(f"rollback --version: {best:.2f} s, {worked:.2f} s of the cores, the best of {ROUNDS}")


def main(target: str | None = None) -> None:
    """On a stack of its own."""
    from fixtures.authority import Authority  # noqa: PLC0415 -- the child that is measured does without all this
    from fixtures.slots import slot  # noqa: PLC0415 -- same
    from fixtures.stack import Stack  # noqa: PLC0415 -- same

    bare()
    with slot(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder, Authority(folder / "ca"))
        try:
            stack.prepare()
            stack.start(GOOD)
            told(("release", "record", GOOD), *measured(("release", "record", GOOD, "--yes"), stack.checkout, folder))
            stack.deploy(BAD, healthy=False)
            for words in COMMANDS:
                seconds, worked, programs = measured(words, stack.checkout, folder)
                told(words, seconds, worked, programs)
                if target:
                    with Path(target).open("a", encoding="utf-8") as file:
                        file.writelines(json.dumps({"command": words, **one}) + "\n" for one in programs)
        finally:
            stack.down()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--traced"]:
        del sys.argv[1]
        traced()
    else:
        main(*sys.argv[1:])
