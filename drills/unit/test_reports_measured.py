"""The table of measured figures in the README is rendered and never typed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drills.unit.collected import DRILLS
from drills.unit.first_page import ALL, drill
from reports import lines, measured, runbook

ROOT = Path(__file__).parents[2]


def test_the_readme_has_the_figures_that_were_measured() -> None:
    """Its table is rendered from drills/measured.jsonl: `python -m reports --readme` writes both."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == measured.placed(readme, lines.read(ROOT / "drills" / "measured.jsonl"))


def test_a_table_that_was_typed_is_stale() -> None:
    """One changed figure and the README is not what it would be."""
    readme = f"a\n{measured.BEGIN}\n{measured.END}\nb\n"
    written = measured.placed(readme, ALL)
    assert measured.placed(written, ALL) == written
    assert "| Full restoration | 15 min | 22.0 to 24.0 s | read 31.0 s | 0 |" in measured.placed(
        readme, [drill("Database Rollback / Full Database Restoration")]
    )
    assert measured.placed(written.replace("24.0", "23.9"), ALL) == written
    with pytest.raises(measured.NoPlaceError):
        measured.placed("no place", ALL)


def test_the_newest_line_of_each_drill_is_kept(tmp_path: Path) -> None:
    """A run of one drill leaves the figures of the others."""
    kept, record = tmp_path / "measured.jsonl", tmp_path / "drills.jsonl"
    kept.write_text('{"id": "a", "verdict": "pass"}\n{"id": "b", "verdict": "pass"}\n', encoding="utf-8")
    record.write_text('{"id": "b", "verdict": "fail", "findings": [1], "images": {}}\n', encoding="utf-8")
    measured.keep(record, kept)
    assert kept.read_text(encoding="utf-8").splitlines() == [
        '{"id": "a", "verdict": "pass"}',
        '{"id": "b", "verdict": "fail"}',
    ]


def test_each_figure_has_the_commit_that_it_was_measured_on() -> None:
    """Of drills that were measured on several, each; and whether there were changes that no commit has."""
    section = "Database Rollback / Full Database Restoration"
    runs = [
        drill(section, id=name, started=f"2026-11-{day:02}T05:00:00+00:00", git_head=head * 20, dirty=changed)
        for name, day, head, changed in (("a", 2, "ab", False), ("b", 2, "ab", False), ("c", 1, "cd", True))
    ]
    text = measured.placed(f"{measured.BEGIN}\n{measured.END}", runs)
    assert "| 2026-11-01 at cdcdcdcdcdcd, with uncommitted changes; 2026-11-02 at abababababab |" in text


def test_measured_drills_exist() -> None:
    """A figure of a drill that is no more is no figure."""
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    for one in lines.read(ROOT / "drills" / "measured.jsonl"):
        assert one.id in {drill.id for drill in DRILLS}
        assert runbook.section(one.section) in runbook.SECTIONS
        assert datetime.fromisoformat(one.started) > stamp
