"""What a watch sees of each release that is known to be good or bad, recorded on a disposable stack with users on it.

`python drills/bench/series.py` writes a file a release into drills/automation/recorded: the samples as the watch took
them, and what is known of the release. test_watch_decision.py has the decision made again on them, sample by sample.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from fixtures.authority import Authority
from fixtures.slots import slot
from fixtures.stack import Stack
from fixtures.traffic import Users
from fixtures.watching import RECORDED

BEFORE, GOOD = "v3.9.0", "v4.0.0"
SEED, ANSWERS, PATIENCE_SECONDS = 11, 150, 120
#: Lengths of a drill; the limits are the ones that are shipped.
SHORT = "[watch]\nseconds = 60\ninterval = 1\nwindow_seconds = 3\nrequests = 20\n\n"
SHIPPED = "[watch]\ninterval = 1\n\n"


@dataclass(frozen=True)
class Release:
    """A release of which it is known what it is.

    Attributes:
        version: what is deployed over `over`.
        expected: good: healthy; bad: rollback; unused: inconclusive.
        users: whether somebody is at work.
        blip: seconds after which the backend dies once and is back at once.
    """

    name: str
    version: str
    expected: str
    over: str = GOOD
    policy: str = SHORT
    users: bool = True
    blip: float | None = None


RELEASES = (
    Release("good", GOOD, "healthy", BEFORE),
    Release("good with a blip", GOOD, "healthy", BEFORE, blip=20),
    Release("nobody there", GOOD, "inconclusive", BEFORE, users=False),
    Release("dies at start", "v4.1.0-crash", "rollback"),
    Release("dies at start, nobody there", "v4.1.0-crash", "rollback", users=False),
    Release("a third fails", "v4.1.0-errors", "rollback"),
    Release("a third fails, as long as is shipped", "v4.1.0-errors", "rollback", policy=SHIPPED),
    Release("ten times slower", "v4.1.0-slow", "rollback"),
    Release("its env file has another port", "v4.1.0-env", "rollback"),
)


def recorded(stack: Stack, release: Release) -> None:
    """Deploy it, watch it, and keep what the watch saw."""
    stack.deploy(release.over)
    _policy(stack, release.policy)
    if not (stack.checkout / ".rollback/releases" / release.over).exists():
        stack.rollback("release", "record", release.over, "--yes").check()
    users = Users(stack.edge_http, stack.edge_https, stack.authority.file, SEED)
    users.start()
    # the release of before is known by its answers in the edge's log
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(users.recorder.history().requests) < ANSWERS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"users had fewer than {ANSWERS} answers in {PATIENCE_SECONDS} s")
        time.sleep(0.1)
    if not release.users:
        users.stop()
    try:
        stack.deploy(release.version, healthy=False)
        _policy(stack, release.policy)
        _watched(stack, release)
    finally:
        if release.users:
            users.stop()


def _watched(stack: Stack, release: Release) -> None:
    blip = threading.Timer(release.blip or 0, _restart(stack))
    if release.blip:
        blip.start()
    folder = stack.checkout / ".rollback/watches"
    before = {*folder.glob("*.jsonl")}
    said = stack.rollback("watch", "--to", release.over, "--dry-run")
    blip.cancel()
    (newest,) = {*folder.glob("*.jsonl")} - before
    known = json.dumps({"release": release.name, "expected": release.expected})
    _, *samples = newest.read_text(encoding="utf-8").splitlines()
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{release.name}.jsonl").write_text("\n".join([known, *samples]) + "\n", encoding="utf-8")
    print(f"{release.name}: exit {said.status}, {len(samples) - 1} samples, {json.loads(samples[-1])['sentence']}")


def _restart(stack: Stack) -> Callable[[], object]:
    return lambda: stack.compose("restart", "--timeout", "0", "backend").check()


def _policy(stack: Stack, policy: str) -> None:
    path = stack.checkout / "rollback.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^\[watch\].*?(?=^\[)", policy, text, flags=re.MULTILINE | re.DOTALL), encoding="utf-8")


def main() -> None:
    """Every release, one after the other, on one stack."""
    with slot(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder, Authority(folder / "ca"))
        try:
            stack.prepare()
            stack.start(BEFORE)
            for release in RELEASES:
                if not sys.argv[1:] or release.name in sys.argv[1:]:
                    recorded(stack, release)
        finally:
            stack.down()


if __name__ == "__main__":
    main()
