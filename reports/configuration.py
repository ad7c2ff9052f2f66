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

NAME = "SpherosegV4 rollback drills"


def configuration(drills: Sequence[Drill], history: Path) -> dict[str, Any]:
    """Return the configuration; ``history`` is the file that the next report compares with."""
    return {
        "name": NAME,
        "historyPath": str(history),
        "historyLimit": 60,
        "appendHistory": True,
        "performance": metrics.titles(drills),
        "qualityGate": {"rules": metrics.rules(drills)},
        "categories": {"rules": categories()},
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
        "groupBy": ["epic", "feature", "story"],
        "appendTitlePath": False,
        "sections": ["charts", "timeline"],
        "timeline": {"minDuration": 0},
    }
