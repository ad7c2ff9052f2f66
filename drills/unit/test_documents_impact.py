"""What a run cost and since when it could be seen, as every document tells it; what nobody measured is not made up."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from drills.unit.incidents import BEGIN, USUAL, read
from rollback import tables
from rollback.documents import notification, postmortem, words
from rollback.documents.notification import END
from rollback.procedures import restoration

if TYPE_CHECKING:
    from pathlib import Path

KEPT = "rows, or values of them, are kept in the schemas of the database whose names end in `_r1`"
#: Procedure, what its steps measured, how it ended, and what people are told that it cost.
LOSSES: dict[str, tuple[str, dict[str, float], str, str]] = {
    "no step that takes rows": ("application", {}, "done", "no row was taken away by a step"),
    "none": ("database", {"rows_lost": 0, "rows_as_before": 0, "rows_back": 0}, "done", "0 rows lost"),
    "counted": (
        "database", {"rows_lost": 31, "rows_back": 4}, "done",
        "31 rows lost, 4 rows back that had been deleted; each of them is listed in the run's folder"),
    "a table that nobody can read": (
        "database", {"rows_lost": 0, "tables_unknown": 1}, "done",
        "not known: what 1 tables have had could not be read; counted: 0 rows lost"),
    "writes after the archive": (
        "recover", {"writes_missing": 1234, "seconds_missing": 43200.0}, "done",
        "at most 1234 acknowledged requests that change something are missing, of 720 min 0 s"),
    "no write after the archive": (
        "recover", {"writes_missing": 0}, "done", "no acknowledged request that changes something is missing"),
    "the edge's log is gone": (
        "recover", {"seconds_missing": 90.0}, "done",
        "not known: how many of the writes of 1 min 30 s are missing"),
    "kept by a migration": (
        "migration", {"rows_kept": 7}, "done",
        f"no row for good: 7 {KEPT}; `rollback migration forward VERSION` brings them back"),
    "kept by a schema": (
        "schema", {"rows_kept": 7}, "done",
        f"no row for good: 7 {KEPT}; they are copied back from there by hand"),
    "nothing to keep": ("migration", {"rows_kept": 0}, "done", "no row was taken away by a step"),
    "put back": ("database", {"rows_lost": 31}, "put back", "nothing: all was put back"),
    "refused": ("migration", {}, "refused", "nothing: all was put back"),
}  # fmt: skip


@pytest.mark.parametrize(("procedure", "figures", "outcome", "told"), LOSSES.values(), ids=LOSSES)
def test_the_loss_is_told_as_it_was_measured(
    procedure: str, figures: dict[str, float], outcome: str, told: str
) -> None:
    """Each figure that a step may leave has its words, and what is not known is not told as nothing."""
    measured = (1, "done", {"step": "s", "seen": "x", "figures": figures})
    found = read((0, "begin", {**BEGIN, "procedure": procedure}), measured, (3, "end", {"outcome": outcome}))
    assert f"- **Data loss**: {told}".replace("`", "\\`") in postmortem.written(found, {}, "x").splitlines()
    assert f"- Data loss: {told}" in notification.written(found, END, {}, "x").body.splitlines()


def test_a_run_that_has_not_ended_has_not_lost_nothing() -> None:
    """It was killed: what it has counted so far is told, and that it is not all."""
    counted = (1, "done", {"step": "listed", "seen": "x", "figures": {"rows_lost": 31}})
    begun = (0, "begin", {**BEGIN, "procedure": "database"})
    assert words.loss(read(begun)) == "not known: the run has not ended"
    assert words.loss(read(begun, counted)).startswith("not known: the run has not ended; counted: 31 rows lost")


@dataclass
class Swapped:
    """A restored database that has taken the live name."""

    old: str = "spheroseg_before_r1"

    def serving(self) -> bool:
        """It does."""
        return True

    swapped = serving


def test_what_was_written_between_list_and_swap_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is made anew then, within the step of the swap: its figures are those that count."""
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext())
    monkeypatch.setattr(restoration, "Beside", lambda *_: Swapped())
    settings = SimpleNamespace(database=tables.DatabaseTable(service="db", name="x"), timing=tables.TimingTable())
    one: Any = SimpleNamespace(settings=settings, run_folder=lambda _: tmp_path)
    (tmp_path / "late.json").write_text(json.dumps({"written": 1, "late": [], "figures": {"rows_lost": 32}}))
    facts = {"run": "r1", "backup": "b1"}
    swap = next(step for step in restoration.exchanged(one, facts) if step.moves_users)
    assert dict(swap.read().figures) == {"rows_lost": 32}


@pytest.mark.parametrize("kind", ["moves", "final"])
def test_what_users_wrote_until_an_abort_is_not_told_as_nothing(kind: str) -> None:
    """The database of before comes back without it; an abort before that costs nothing, whatever was counted."""
    begun = (0, "begin", {**BEGIN, "moves": [], kind: ["swapped"], "procedure": "database"})
    counted = (1, "done", {"step": "listed", "seen": "x", "figures": {"rows_lost": 31}})
    swapped, aborted = (2, "intent", {"step": "swapped"}), (3, "end", {"outcome": "aborted"})
    assert words.loss(read(begun, counted, aborted)) == "nothing"
    lost = words.loss(read(begun, counted, swapped, aborted))
    assert lost == "not known: what was written until it was taken back was not counted"
    if kind == "moves":  # images alone: the database stayed
        assert words.loss(read(begun, swapped, aborted)) == "nothing"


#: What the edge's log says, and what is told of it: when it was first seen, and how long users met errors.
LOG = {"requests": 4, "since": "2024-01-19T13:50:00", "until": "2024-01-19T14:20:09"}
READ = "in a log that is read from 2024-01-19 13:50:00 UTC"
DETECTED: dict[str, tuple[dict[str, Any] | None, str, str]] = {
    "nobody looked": (None, "first failed request not measured", "not measured"),
    "not to be read": ({"reason": "it is gone"}, "first failed request not measured", "not measured"),
    "no request": (
        {**LOG, "requests": 0, "failed": 0, "first": "", "last": ""},
        "first failed request not measured: the edge's log has no request", "not measured"),
    "none failed": (
        {**LOG, "failed": 0, "first": "", "last": ""},
        f"no request failed before the rollback began, {READ}", "no request failed at the edge"),
    "failed before": (
        {**LOG, "failed": 2, "first": "2024-01-19T14:15:00", "last": "2024-01-19T14:20:03"},
        f"first failed request at 2024-01-19 14:15:00 UTC, 5 min 0 s before the command, {READ}",
        "5 min 3 s from the first to the last request that failed at the edge"),
    "failed by the rollback": (
        {**LOG, "failed": 1, "first": "2024-01-19T14:20:02", "last": "2024-01-19T14:20:02"},
        f"no request failed before the rollback began, {READ}",
        "0.0 s from the first to the last request that failed at the edge"),
    "failed from where the log begins": (
        {**LOG, "failed": 2, "first": LOG["since"], "last": "2024-01-19T14:20:00"},
        f"first failed request at 2024-01-19 13:50:00 UTC, 30 min 0 s before the command, {READ}",
        "at least 30 min 0 s from the first to the last request that failed at the edge"),
}  # fmt: skip


@pytest.mark.parametrize(("measured", "detected", "downtime"), DETECTED.values(), ids=DETECTED)
def test_when_it_was_first_seen_is_told_and_how_long_users_met_it(
    measured: dict[str, Any] | None, detected: str, downtime: str
) -> None:
    """From the edge's log; what it does not say, as who the users were, is not measured and not made up."""
    found = read(*USUAL, *([(9.1, "impact", measured)] if measured else []))
    lines = postmortem.written(found, {}, "x").splitlines()
    told = notification.written(found, END, {}, "x").body.splitlines()
    for title, text in (("Detected", detected), ("Downtime", downtime)):
        assert f"- **{title}**: {text}" in lines
        assert f"- {title}: {text}" in told
    assert "- Affected users: not measured: the edge's log counts requests, not people" in told


def test_what_the_watch_saw_is_told_of_the_run_that_it_began() -> None:
    """Its decision is when it was detected, and from it recovery counts: it was typed before anything was wrong."""
    decided = (0, "watch", {"verdict": "rollback", "reason": "GET /api: 33.1 % failed", "to": "v4.0.0"})
    begun = (2, "begin", {**BEGIN, "typed_s_ago": 120.0})
    log = {**LOG, "failed": 2, "first": "2024-01-19T14:19:50", "last": "2024-01-19T14:20:03"}
    found = read(decided, begun, *USUAL[1:], (9.1, "impact", log))
    assert (found.began.isoformat(), found.recovery()) == ("2024-01-19T14:20:00+00:00", 4.5)
    text = postmortem.written(found, {}, "x")
    assert (
        "- **Detected**: the watch decided at 2024-01-19 14:20:00 UTC: GET /api: 33.1 % failed; first failed request at"
        f" 2024-01-19 14:19:50 UTC, 10.0 s before the decision of the watch, {READ}"
    ) in text.splitlines()
    # the two clocks are written with different digits: of their difference nothing is left
    late = replace(found.watched or found.entries[0], mono=999.9996)
    assert replace(found, watched=late).seconds(late) == 0.0
    assert "| 14:20:00.000 | 0.0 s | the watch decided to roll back | GET /api: 33.1 % failed |" in text.splitlines()
    assert "watch" not in postmortem.written(read(*USUAL), {}, "x").replace(words.instant(found.began), "")


@pytest.mark.parametrize(
    ("objective", "outcome", "text"),
    [
        (300, "done", "5 min 0 s: met"),
        (4, "done", "4.0 s: MISSED"),
        (300, "put back", "5 min 0 s; not measured against it"),
        (None, "done", "none in rollback.toml for this procedure"),
    ],
    ids=["met", "missed", "no recovery", "none"],
)
def test_recovery_is_held_against_the_objective(objective: float | None, outcome: str, text: str) -> None:
    """As rollback.toml has it for the procedure."""
    found = read(*USUAL[:-1], (9, "end", {"outcome": outcome}))
    assert f"- **Objective**: {text}" in postmortem.written(found, {}, "x", objective).splitlines()
    assert f"- Objective: {text}" in notification.written(found, END, {}, "x", objective).body.splitlines()
