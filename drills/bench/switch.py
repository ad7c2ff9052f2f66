"""Requests that users sent while a rollback ran, by class, from the histories that a run of the drills left.

`python drills/bench/switch.py [REPORT_FOLDER]` prints a line a drill and the sum; failures are those of the rollback.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from fixtures.history import History

CLASSES = ("fresh", "keepalive", "post", "websocket")


def sent(history: History) -> Counter[str]:
    """Requests by class that were under way between the start and the end of the rollback."""
    started, ended = history.first("rollback started"), history.last("rollback ended")
    if started is None or ended is None:
        return Counter()
    return Counter(one.cls for one in history.requests if one.done >= started and one.sent <= ended)


def main() -> None:
    """Print the table."""
    report = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/latest")
    lines = [json.loads(line) for line in (report / "drills.jsonl").read_text(encoding="utf-8").splitlines()]
    total, failed = Counter[str](), Counter[str]()
    for line in lines:
        counts = sent(History.load(report / "histories" / f"{line['id']}.jsonl"))
        broken = Counter(line["requests"].get("by_class", {}))
        total, failed = total + counts, failed + broken
        print(line["id"], *(f"{name} {broken[name]}/{counts[name]}" for name in CLASSES), sep="  ")
    print("all", *(f"{name} {failed[name]}/{total[name]}" for name in CLASSES), sep="  ")


if __name__ == "__main__":
    main()
