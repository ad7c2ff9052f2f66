"""A run in which every case of the runbook passed, and the first page that is made of it."""

from __future__ import annotations

from datetime import date
from html.parser import HTMLParser
from typing import Any

from reports import lines, runbook
from reports.answers import Answers, answers
from reports.front import front
from reports.past import Point
from reports.past import Run as Earlier
from reports.policy import Policy
from reports.run import Run

TODAY = date(2026, 12, 1)
MACHINE = "2 CPUs, Docker 20.10"
CONTACTS = {"DevOps Lead": "devops-lead@company.com", "Database Admin": "dba@company.com"}
WHOLE = Run("pytest drills/ -m monthly -n 2", "2026-12-01T05:00:00+00:00", complete=True, contacts=CONTACTS)
OF_EACH = {issue: next(one.name for one in runbook.SECTIONS if one.issue == issue) for issue in runbook.QUICK_REFERENCE}


def drill(section: str = OF_EACH["DB Error"], **changes: Any) -> lines.Drill:
    """One recorded drill of a section."""
    usual: dict[str, Any] = {
        "id": section.rsplit(" / ", maxsplit=1)[-1].lower(),
        "title": f"{section} <works>",
        "section": section,
        "severity": "critical",
        "verdict": "pass",
        "objective_s": 900,
        "rto_s": {"read": {"low": 20.0, "high": 21.0}, "ml": {"low": 22.0, "high": 24.0}},
        "downtime_s": {"read": {"low": 30.0, "high": 31.0}},
        "writes": {"kept": 100, "lost": 0, "announced": 3},
        "requests": {"total": 500, "failed": 0},
        "machine": MACHINE,
        "started": "2026-12-01T05:01:00+00:00",
        "command": "pytest -k it --seed 7",
    }
    return lines.parse({**usual, **changes})


ALL = [drill(section) for section in OF_EACH.values()]


def earlier(name: str, *months: tuple[int, bool, float]) -> list[Earlier]:
    """Earlier runs of one drill: month, whether it passed, RTO."""
    return [
        Earlier(date(2026, month, 1), {name: Point(date(2026, month, 1), passed, MACHINE, {"rto": rto})})
        for month, passed, rto in months
    ]


def told(drills: list[lines.Drill], past: list[Earlier] | None = None, **more: Any) -> Answers:
    """What the first page says of these drills."""
    return answers(
        more.get("run", WHOLE), drills, past or [], more.get("policy", Policy()), TODAY, ahead=more.get("ahead", 0)
    )


def page(drills: list[lines.Drill], past: list[Earlier] | None = None, **more: Any) -> str:
    """The first page as the text that somebody reads."""
    html = front(more.get("run", WHOLE), drills, told(drills, past, **more), {drills[0].id: "#abc"} if drills else {})
    reader = _Reader()
    reader.feed(html)
    return " ".join(" ".join(reader.said).split())


class _Reader(HTMLParser):
    """Collects the text of a page, without style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Style and script are not read by people."""
        self.silent = tag in {"style", "script"}
        self.said += [str(value) for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        """What follows them is."""
        self.silent = self.silent and tag not in {"style", "script"}

    def handle_data(self, data: str) -> None:
        """Collect it."""
        self.said += [] if self.silent else [data]
