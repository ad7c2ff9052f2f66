"""What the report tells of one drill."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

import pytest

from fixtures import bench, story
from fixtures.checks.availability import Interval
from fixtures.checks.ledger import CLASSES
from fixtures.checks.residue import Allowed
from fixtures.command import Outcome
from fixtures.faults import candidates
from fixtures.history import History, Mark, Request
from fixtures.record import DrillRecord
from fixtures.scenario import Scenario
from fixtures.verdict import Verdict
from reports import lines

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.drill import Drill

SCENARIO = Scenario.back_to("v4.0.0", candidates.crash())
LINE = DrillRecord(
    id="application-crash",
    title="A release that crashes",
    procedure="application",
    section="Application Rollback / Quick Rollback (Docker)",
    severity="critical",
    verdict=Verdict.FAIL,
    reason="<html> & 1 lost",
    command="pytest -k crash --seed 7",
    started="2026-01-01T00:00:00+00:00",
    seed=7,
    git_head="abc",
    dirty=False,
    objective_s=300,
    rto_s={"read": Interval(30.5, 31.04), "ml": None},
    downtime_s={"read": Interval(0, 0), "ml": Interval(1, float("inf"))},
    writes={"kept": 9, "lost": 1, "announced": 2},
    requests={"total": 90, "failed": 2, "failed_by_fault": 7},
)


def rows(text: str) -> list[list[str]]:
    """A CSV attachment as somebody sees it."""
    return list(csv.reader(io.StringIO(text)))


def test_the_story_is_told_in_plain_words() -> None:
    """What it shows, what went wrong, what was typed, what came of it, the figures, and how to run it again."""
    told = story.told("It is `taken` back.\n\nNobody notices.", SCENARIO, LINE, "<svg/>")
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", told)).split())
    assert text.startswith("It is taken back. Nobody notices. What went wrong. The backend of v4.1.0 imports")
    for words in (
        "What was typed. rollback application v4.0.0",
        "What came of it. Fail: <html> & 1 lost",
        "pytest -k crash --seed 7",
    ):
        assert words in text
    assert (
        '<img alt="A release that crashes" width="100%" style="min-width:680px" src="data:image/svg+xml;base64,' in told
    )


def test_what_was_typed_is_what_the_journal_has() -> None:
    """Every command that changed something, as somebody would say it; a line that a kill has cut says nothing."""
    typed = (
        ("begin", "rollback migration 012 --yes --directory '/tmp/Prüf stand'"),
        ("done", None),
        ("resume", "rollback resume --yes --directory /tmp/x"),
        ("begin", None),
    )
    entries = [{"event": event, "data": {"command": command} if command else {}} for event, command in typed]
    journal = "".join(json.dumps(one) + "\n" for one in entries) + '{"event": "begin", "data"'
    assert story.typed(journal) == ["rollback migration 012", "rollback resume"]
    told = story.told("x", SCENARIO, replace(LINE, typed=["rollback a", "rollback b"]), "<svg/>")
    assert "<code>rollback a</code>, <code>rollback b</code>" in told


def test_the_transcript_has_every_command_in_order() -> None:
    """Each with its own words, what it said and how it ended; one that was killed stands at the end."""

    def ended(*words: str, status: int = 0) -> Outcome:
        return Outcome(("python", "-m", "rollback", *words, "--directory", "/x"), status, f"{words[0]} said\n", "")

    first, second = ended("application", "v3.9.0"), ended("migration", "012", status=20)
    drill = SimpleNamespace(stack=SimpleNamespace(said=[first, second]), outcome=second)
    told = "$ rollback application v3.9.0\napplication said\nexit 0\n"
    told += "\n$ rollback migration 012\nmigration said\nexit 20\n"
    assert story.transcript(cast("Drill", drill)) == told
    drill.outcome = ended("resume", status=-9)
    assert story.transcript(cast("Drill", drill)) == f"{told}\n$ rollback resume\nresume said\nexit -9\n"


def test_figures_have_units_and_bounds() -> None:
    """Both ends of each interval, what is allowed, and never a number for what was not seen."""
    table = ET.fromstring(story.figures(LINE))  # noqa: S314 -- our own text
    assert [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")][1:] == [
        ["RTO, read", "30.5 to 31.0 s", "300 s"],
        ["RTO, ml", "not within the drill", "300 s"],
        ["Downtime since the fault, read", "none", ""],
        ["Downtime since the fault, ml", "not within the drill", ""],
        ["Acknowledged writes lost", "1 of 12", "0"],
        ["Writes undone as announced", "2", ""],
        ["Requests failed by the rollback", "2 of 90", "0"],
        ["Requests failed by the fault", "7 of 90", ""],
    ]


def test_a_ci_system_gets_the_figures() -> None:
    """As properties of the test in junit.xml; what was not measured is left out."""
    assert dict(story.properties(LINE)) == {
        "drill": "application-crash",
        "verdict": "fail",
        "seed": "7",
        "objective_s": "300",
        "rto_read_s": "31.04",
        "writes_lost": "1",
    }


def test_every_class_of_writes_is_explained() -> None:
    """A reader of the ledger need not know the code."""
    table = rows(story.ledger(dict.fromkeys(CLASSES, 1)))
    assert [row[0] for row in table[1:]] == list(CLASSES)
    assert all(row[2] for row in table[1:])


def test_differences_are_those_of_the_worlds_that_were_seen() -> None:
    """What stayed the same is left out; what may differ in the end has its reason."""
    worlds = {
        "steady": {"same": "1", "file a": "1", "gone": "x"},
        "before the command": {"same": "1", "file a": "2"},
        "end": {"same": "1", "file a": "1", "image b": "new"},
    }
    assert rows(story.differences(worlds, (Allowed("image *", "kept for the post-mortem"),))) == [
        ["what", "steady", "before the command", "end", "why that is right in the end"],
        ["file a", "1", "2", "1", ""],
        ["gone", "x", "", "", ""],
        ["image b", "", "", "new", "kept for the post-mortem"],
    ]


def test_every_failed_request_is_listed_with_what_it_is_laid_to() -> None:
    """In the order of time, counted from the start of the rollback."""
    failed = [
        Request("post", "write", "/api/x", "POST", at, at + 0.1, 502, ok=False, reason="502", release=None)
        for at in (35.0, 12.0)
    ]
    names = (("fault injected", 10), ("rollback started", 20), ("cutover begun", 22), ("edge switched", 25))
    marks = tuple(Mark(name, at, 0) for name, at in names)
    table = rows(story.failed_requests(History(tuple(failed), marks=marks), SCENARIO))
    assert [row[:2] for row in table[1:]] == [["-8.00", "fault"], ["+15.00", "rollback"]]
    assert story.failed_requests(History(), SCENARIO) == ""


def test_a_drill_that_lacks_something_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that the gate can judge by name, and no pass."""
    monkeypatch.setattr(bench, "_versions", lambda: {"engine": "20.10.24"})
    meta = {"id": "monitoring", "procedure": "monitoring", "section": "S", "severity": "normal"}
    node: Any = SimpleNamespace(
        name="test_x", nodeid="drills/x.py::test_x", get_closest_marker=lambda _: SimpleNamespace(kwargs=meta)
    )
    nothing: Any = None
    one = bench.Bench(node, nothing, nothing, 1, tmp_path, tmp_path)
    with pytest.raises(pytest.skip.Exception, match="not tested: Grafana's image cannot be had here"):
        one.not_tested("Grafana's image cannot be had here")
    (line,) = lines.read(tmp_path / "drills.jsonl")
    assert (line.id, line.verdict) == ("monitoring", lines.NOT_TESTED)
    assert line.reason == "Grafana's image cannot be had here"
    assert line.machine.endswith("CPUs, Docker 20.10")
    assert not one.passed


@pytest.mark.parametrize("found", [False, True])
def test_broken_machinery_says_what_the_checks_had_found(*, found: bool) -> None:
    """The reason of a measurement that cannot be made is often a command that has failed before it."""
    verdict = Verdict.FAIL if found else Verdict.PASS
    drill = SimpleNamespace(findings=[1], verdict=lambda: verdict, reason=lambda: "exit code: exit 30")
    told = bench._judgement(cast("Drill", drill), ConnectionError("refused"))  # noqa: SLF001 -- what the line says
    until = "; until then: exit code: exit 30" if found else ""
    assert told == (Verdict.FAIL, f"machinery: ConnectionError: refused{until}")
