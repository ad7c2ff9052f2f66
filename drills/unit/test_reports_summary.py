"""summary.md comes from drills.jsonl alone, and claims nothing that was not measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.checks.availability import Interval
from fixtures.record import DrillRecord
from fixtures.verdict import Verdict
from reports import lines, metrics, runbook, wording
from reports.build import RECORD, summarise
from reports.summary import per_path

if TYPE_CHECKING:
    from pathlib import Path

WHOLE: dict[str, Any] = {
    "id": "app.crash",
    "title": "A release that crashes is taken back",
    "section": "Application Rollback / Quick Rollback (Docker)",
    "verdict": "pass",
    "reason": "every contract kept",
    "objective_s": 60,
    "rto_s": {"read": {"low": 2.1, "high": 2.31}, "write": {"low": 3.0, "high": 3.4}},
    "downtime_s": {"read": {"low": 0.4, "high": 0.6}},
    "writes": {"kept": 211, "lost": 0},
    "requests": {"total": 900, "failed": 3},
}


def test_summary_has_a_row_for_each_line(tmp_path: Path) -> None:
    """Each line of drills.jsonl is one row with its figures."""
    inconclusive = {"id": "db.rows", "verdict": "inconclusive", "reason": "no write | before the fault"}
    record = "\n".join(json.dumps(line) for line in (WHOLE, inconclusive))
    (tmp_path / RECORD).write_text(record, encoding="utf-8")
    text = summarise(tmp_path).read_text(encoding="utf-8")
    untested, every = (part.split("</details>")[0].strip().splitlines() for part in text.split("<details>")[1:])
    assert untested[0] == f"<summary>Not tested: {len(runbook.SECTIONS) - 1} entries</summary>"
    assert untested[2] == "- Before a rollback: no drill of it ran"
    assert "2 drills: 1 inconclusive, 1 pass." in text
    assert every[-2:] == [
        (
            "| A release that crashes is taken back (app.crash) | pass | 1 min | 3.0 to 3.4 s "
            "| read 0.6 s | 0 | 3 | every contract kept |"
        ),
        r"| db.rows | **inconclusive** | - | - | - | - | - | no write \| before the fault |",
    ]


def test_a_recorded_drill_is_read_as_it_was_recorded() -> None:
    """What fixtures.record writes and what reports.lines reads are one format."""
    record = DrillRecord(
        id="app.crash",
        title="Crash",
        procedure="application",
        section="Application Rollback / Quick Rollback (Docker)",
        severity="critical",
        verdict=Verdict.FAIL,
        reason="2 writes lost",
        command="pytest",
        started="2026-01-01T00:00:00Z",
        seed=1,
        git_head="abc",
        dirty=False,
        objective_s=60,
        rto_s={"read": Interval(1.0, 1.5), "write": None},
        downtime_s={"read": Interval(0.5, 0.7)},
        writes={"kept": 5, "lost": 2},
        requests={"total": 9, "failed": 3},
        versions={"engine": "20.10"},
    )
    drill = lines.parse(json.loads(record.line()))
    assert (drill.verdict, drill.objective, drill.lost, drill.failed) == ("fail", 60, 2, 3)
    assert drill.rto == {"read": 1.5, "write": math.inf}
    assert drill.downtime == {"read": 0.7}
    assert drill.versions == {"engine": "20.10"}


@pytest.mark.parametrize(
    ("away", "text"),
    [
        ({}, "-"),
        ({"read": 0.0, "ml": 0.0}, "none"),
        ({"read": 3.41, "ml": 0.0, "frontend": 1.2}, "frontend 1.2 s, read 3.5 s"),
    ],
)
def test_only_paths_that_were_down_are_named(away: dict[str, float], text: str) -> None:
    """Nothing measured is a dash, and no downtime at all is none."""
    assert per_path(away) == text


def test_no_drill_is_said(tmp_path: Path) -> None:
    """A run without a line does not look like a run in which nothing went wrong."""
    assert "No drill recorded a verdict." in summarise(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "-", id="not-measured"),
        pytest.param(math.inf, "not within the drill", id="never-back"),
        pytest.param(60.01, "60.1 s", id="rounded-up"),
        pytest.param(0.3, "0.3 s", id="exact"),
    ],
)
def test_an_upper_bound_is_never_rounded_down(value: float | None, text: str) -> None:
    """A bound above the objective cannot be displayed as met."""
    assert text == wording.seconds(value)


def test_a_path_that_never_came_back_is_the_slowest() -> None:
    """A bound of null is no bound: it outranks every number, and no sample claims it."""
    drill = lines.parse({**WHOLE, "rto_s": {"read": {"low": 9.0, "high": None}, "write": {"low": 1, "high": 2}}})
    assert drill.slowest == math.inf
    assert "app.crash.rto" not in {sample["key"] for sample in metrics.samples([drill], 0)}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("{", id="no-json"),
        pytest.param('{"verdict": "pass"}', id="no-id"),
        pytest.param('{"id": "a"}', id="no-verdict"),
        pytest.param('{"id": "a", "verdict": "pass", "rto_s": {"read": 3}}', id="no-interval"),
        pytest.param("[]", id="no-object"),
    ],
)
def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    """Nothing is summed up around a line that cannot be read."""
    (tmp_path / RECORD).write_text(f"{json.dumps(WHOLE)}\n{line}\n", encoding="utf-8")
    with pytest.raises(lines.BadLineError, match=r"drills\.jsonl line 2"):
        summarise(tmp_path)


def test_each_figure_has_a_title_a_unit_and_a_direction() -> None:
    """What is drawn in the report is named there: no bare keys."""
    drill = lines.parse(WHOLE)
    titles = metrics.titles([drill])
    keys = [sample["key"] for sample in metrics.samples([drill], 0)]
    assert keys == ["app.crash.rto", "app.crash.downtime", "app.crash.failed", "app.crash.lost"]
    assert all(titles["metrics"][key]["better"] == "lower" for key in keys)
    assert {one["group"] for one in titles["metrics"].values()} == set(titles["groups"])


def test_the_gate_of_the_report_asks_for_the_objective_and_for_no_lost_write() -> None:
    """The rules in the page are those of the drill."""
    limits = {rule["id"]: rule["metricMax"]["value"] for rule in metrics.rules([lines.parse(WHOLE)])[2:]}
    assert limits == {"run.held": 0, "run.undrilled": 0, "app.crash.rto": 60, "app.crash.lost": 0}


def test_where_nobody_is_at_work_no_write_is_asked_for() -> None:
    """A checklist is drilled on a deployment without users: a rule on writes would fail for want of a figure."""
    of_nobody = "Post-Rollback Actions / Verification Checklist"
    asked = [{rule.get("id") for rule in metrics.rules([replace(lines.parse(WHOLE), section=section, lost=None)])}
             for section in (of_nobody, WHOLE["section"])]  # fmt: skip
    assert ["app.crash.lost" in rules for rules in asked] == [False, True]
