"""The Allure configuration of one report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reports import metrics
from reports.toolchain import LOCKED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reports.lines import Drill
    from reports.past import Run

NAME = "SpherosegV4 rollback drills"
# of the sixteen that Allure draws by itself, those that say something about drills
CHARTS = [
    {"type": "currentStatus", "title": "This run"},
    {"type": "statusDynamics", "title": "The last runs", "limit": 24},
    {
        "type": "testResultSeverities",
        "title": "By severity",
        "levels": ["blocker", "critical", "normal", "minor", "trivial"],
        "statuses": ["passed", "failed", "broken", "skipped", "unknown"],
        "includeUnset": False,
    },
    {"type": "durationDynamics", "title": "How long the drills take", "limit": 24},
]


def configuration(
    drills: Sequence[Drill], history: Path, earlier: Sequence[Run] = (), beside: Sequence[Path] = ()
) -> dict[str, Any]:
    """Return the configuration of one report.

    Args:
        drills: what the run recorded.
        history: the file that the next report compares with.
        earlier: what that file holds.
        beside: files of the whole run to put into the page.
    """
    machine = ", ".join(sorted({one.machine for one in drills if one.machine})) or "unknown machine"
    return {
        "name": NAME,
        "historyPath": str(history),
        "historyLimit": 60,
        "appendHistory": True,
        # times of another kind of machine are another history
        "environment": "machine",
        "environments": {"machine": {"name": machine}},
        "performance": metrics.titles(drills),
        "qualityGate": {"rules": metrics.rules(drills, earlier)},
        "categories": {"rules": categories()},
        # what allure-pytest adds by itself and nobody reads
        "hideLabels": ["parentSuite", "suite", "subSuite", "host", "thread", "framework", "language", "package"],
        "globalAttachments": [str(path) for path in beside],
        "plugins": {"awesome": {"options": _page()}},
    }


def categories() -> list[dict[str, Any]]:
    """Return the kinds of bad news, most telling first: a result goes into the first that fits."""
    rules: list[dict[str, Any]] = json.loads((LOCKED / "categories.json").read_text(encoding="utf-8"))
    return rules


def _page() -> dict[str, Any]:
    return {
        "reportName": NAME,
        "singleFile": True,
        "theme": "auto",
        "reportLanguage": "en",
        # chapter and section of the runbook; below them each leaf is a drill
        "groupBy": ["epic", "feature"],
        "appendTitlePath": False,
        "sections": ["charts", "timeline"],
        "charts": CHARTS,
        "timeline": {"minDuration": 0},
    }
