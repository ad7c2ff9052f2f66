"""How long a disposable stack takes, beside a bare `docker compose up --wait` of the same containers.

`python drills/bench/stack.py [ROUNDS]` prints one JSON object: seconds, medians, and the ratio.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from fixtures.authority import Authority
from fixtures.stack import Stack

RELEASE = "v4.0.0"


def seconds(folder: Path) -> dict[str, float]:
    """One round: the stack from nothing, then the same containers again by Compose alone."""
    folder.mkdir()
    stack = Stack(folder, Authority(folder / "ca"))
    marks = [time.monotonic()]
    try:
        stack.prepare()
        stack.start(RELEASE)
        marks.append(time.monotonic())
        stack.compose("down", "--volumes", "--timeout", "0").check()
        marks.append(time.monotonic())
        stack.compose("up", "-d", "--wait").check()
        marks.append(time.monotonic())
    finally:
        stack.down()
    marks.append(time.monotonic())
    names = ("ready", "down", "bare up", "removed")
    return {name: after - before for name, (before, after) in zip(names, pairwise(marks), strict=True)}


def main() -> None:
    """Print the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        found = [seconds(Path(folder) / str(number)) for number in range(rounds)]
    medians = {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
    print(json.dumps({"rounds": rounds, **medians, "ready / bare up": round(medians["ready"] / medians["bare up"], 2)}))


if __name__ == "__main__":
    main()
