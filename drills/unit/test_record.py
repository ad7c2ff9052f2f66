"""One drill, one line."""

import json
import math
from pathlib import Path

import pytest

from fixtures.checks.availability import Interval
from fixtures.checks.requests import failed_by_rollback
from fixtures.faults import candidates
from fixtures.history import History
from fixtures.record import DrillRecord, Phase, requests
from fixtures.verdict import Finding, Verdict
from reports.lines import read

RECORD = DrillRecord(
    id="application-crash",
    title="A release that crashes",
    procedure="application",
    section="2.1",
    severity="critical",
    verdict=Verdict.FAIL,
    reason="late",
    command="pytest -k crash",
    started="2026-01-01T00:00:00+00:00",
    seed=7,
    git_head="abc",
    dirty=False,
    objective_s=30,
    findings=(Finding("objective", Verdict.FAIL, "late", 1, "read", "read", {"read high": 31.0}),),
    rto_s={"read": Interval(30.5, 31.00049), "ml": None},
    downtime_s={"read": Interval(0, 2)},
    writes={"lost": 1},
    requests={"total": 9, "failed": 2},
    phases=(Phase("rollback", 2.5),),
    versions={"engine": "20.10.24"},
)


def test_a_line_holds_the_intervals_and_says_null_for_never() -> None:
    """A line holds the intervals and says null for never."""
    raw = json.loads(RECORD.line())
    assert raw["rto_s"] == {"read": {"low": 30.5, "high": 31.0}, "ml": {"low": None, "high": None}}
    assert raw["verdict"] == "fail"
    assert raw["phases"] == [{"name": "rollback", "seconds": 2.5}]
    assert raw["findings"][0]["figures"] == {"read high": 31.0}


def test_lines_are_appended_and_the_report_reads_them(tmp_path: Path) -> None:
    """Lines are appended and the report reads them."""
    file = tmp_path / "latest" / "drills.jsonl"
    RECORD.append(file)
    RECORD.append(file)
    first, second = read(file)
    assert first == second
    assert first.lost == 1
    assert first.failed == 2
    assert first.rto == {"read": 31.0, "ml": math.inf}


def test_a_figure_that_is_no_number_is_refused() -> None:
    """A figure that is no number is refused."""
    broken = Finding("x", Verdict.PASS, "", figures={"x": math.nan})
    with pytest.raises(ValueError, match="not JSON compliant"):
        DrillRecord(**{**RECORD.__dict__, "findings": (broken,)}).line()


def test_the_requests_of_a_record_come_from_the_finding() -> None:
    """The requests of a record come from the finding."""
    part = requests(failed_by_rollback(History(), candidates.polygons()))
    assert part["total"] == part["failed"] == 0
    assert part["by_class"] == {"fresh": 0, "keepalive": 0, "post": 0, "websocket": 0}
