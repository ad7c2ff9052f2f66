"""A run of the journal read as an incident, and every document that is derived from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drills.unit.incidents import BEGIN, MOVED, USUAL, entries, read
from rollback.documents import incident, notification, postmortem
from rollback.documents.impact import counted
from rollback.documents.notification import END, PROGRESS, START
from rollback.journal import Journal
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTACTS = {"On-Call": "+1-555-0123"}


def test_a_finished_run_says_when_users_were_served_and_when_it_ended() -> None:
    """Recovery ends with the step that moves users, not with the last one."""
    found = read(*USUAL)
    assert (found.outcome, found.duration, found.recovery()) == ("done", 9.0, 4.5)
    assert (found.scenario, found.services()) == ("minor", ["backend", "ml"])
    assert found.commands() == [incident.Typed(found.entries[0].at, BEGIN["who"], BEGIN["command"], 0)]  # type: ignore[arg-type]


def test_a_plan_that_moves_nobody_recovers_with_its_end() -> None:
    """A migration taken back serves users when it is done."""
    begin = {**BEGIN, "procedure": "migration", "arguments": {}, "moves": []}
    found = read((0, "begin", begin), (7, "end", {"outcome": "done"}))
    assert (found.recovery(), found.scenario, found.services()) == (7.0, "major", ["migration"])


@pytest.mark.parametrize(
    ("outcome", "code"), [("put back", 30), ("refused", 20), ("done", 0)], ids=["put back", "refused", "done"]
)
def test_exit_codes_are_those_of_the_outcome(outcome: str, code: int) -> None:
    """The command's exit code follows from how its run ended."""
    found = read((0, "begin", BEGIN), (2, "end", {"outcome": outcome}))
    assert [one.exit for one in found.commands()] == [code]
    assert found.recovery() == (2.0 if outcome == "done" else None)


def test_a_killed_run_is_open_until_it_is_resumed() -> None:
    """Nobody knows the exit code of a killed command; the one that finished it has its own."""
    killed = read(*USUAL[:4])
    assert (killed.outcome, killed.scenario, killed.duration) == ("open", "minor", None)
    assert [one.exit for one in killed.commands()] == [None]
    resumed = read(*USUAL[:4], (60, "resume", {"who": "b", "command": "rollback resume"}), (70, "end", USUAL[-1][2]))
    assert [(one.command, one.exit) for one in resumed.commands()] == [(BEGIN["command"], None), ("rollback resume", 0)]


def test_a_run_that_failed_after_users_were_moved_ended_with_40() -> None:
    """A failure without an end leaves the run open, and users between two states."""
    found = read(*USUAL[:5], (6, "failed", {"step": "drained", "reason": "still busy"}))
    assert (found.outcome, found.scenario, [one.exit for one in found.commands()]) == ("open", "critical", [40])


def test_durations_survive_a_boot_in_between() -> None:
    """The monotonic clock begins anew at a boot: then the wall clock counts, whatever the new uptime is."""
    resume = {"who": "b", "command": "rollback resume", "boot": "b2"}
    first, again, last = entries((0, "begin", {**BEGIN, "boot": "b1"}), (5, "resume", resume), USUAL[-1])
    for mono in (3.0, 90000.0):
        assert incident.Incident([first, replace(again, mono=mono), replace(last, mono=mono + 4)]).duration == 9.0


def test_a_clock_that_was_set_does_not_change_durations() -> None:
    """The wall clock jumps by an hour within one boot: the monotonic one counts."""
    first, *_, last = entries(*USUAL)
    found = incident.Incident([first, replace(last, at="2024-01-19T15:20:09+00:00")])
    assert found.duration == 9.0


def test_recovery_counts_from_the_command_and_not_from_the_first_entry() -> None:
    """Users wait while the tool reads and plans."""
    first, *rest = entries(*USUAL)
    found = incident.Incident([replace(first, data={**BEGIN, "typed_s_ago": 3.0}), *rest])
    assert (found.recovery(), found.duration) == (7.5, 12.0)
    assert found.began.second == 57


def test_figures_of_a_step_that_was_repeated_are_the_last_ones() -> None:
    """Whoever wrote meanwhile made the list be made again."""
    listed = {"step": "listed", "seen": "31 rows"}
    found = read(
        (0, "begin", {**BEGIN, "procedure": "database"}),
        (1, "done", {**listed, "figures": {"rows_lost": 30}}),
        (2, "done", {**listed, "figures": {"rows_lost": 31, "rows_as_before": 2}}),
        (3, "end", {"outcome": "done"}),
    )
    text = postmortem.written(found, CONTACTS, "spheroseg")
    assert (
        "- **Data loss**: 31 rows lost, 2 rows as they were before; each of them is listed in the run's folder" in text
    )


def test_an_unknown_run_is_refused_and_the_known_ones_are_named() -> None:
    """Nothing is guessed."""
    with pytest.raises(Refused, match="The journal knows no run r9; it knows: r1"):
        incident.find(entries(*USUAL), "r9")
    with pytest.raises(Refused, match="it knows: none"):
        incident.find([], "latest")


def test_the_latest_run_is_the_one_that_began_last() -> None:
    """Entries of others that were written later do not make theirs the latest."""
    both = [*entries(*USUAL), *entries(*USUAL[:2], run="r2"), *entries((20, "notified", {}), run="r1")]
    assert incident.find(both, "latest").run == "r2"


@pytest.mark.parametrize(
    ("stage", "subject", "said"),
    [
        (START, "System Rollback Started", ["rollback begun at 2024-01-19 14:20:00 UTC", "by operator@host"]),
        (PROGRESS, "System Rollback: Users Served", ["users are served again, 4.5 s after the command"]),
        (END, "System Rollback Completed", ["Users served again after: 4.5 s", "Duration of the rollback: 9.0 s"]),
    ],
    ids=[START, PROGRESS, END],
)
def test_each_stage_tells_what_the_journal_has(stage: str, subject: str, said: Sequence[str]) -> None:
    """Status, affected services, next steps and contacts are in every message."""
    message = notification.written(read(*USUAL), stage, CONTACTS, "spheroseg")
    assert message.subject == f"[spheroseg] {subject} - 2024-01-19 14:20:00 UTC (minor)"
    for one in [*said, "- backend", "- ml", "- On-Call: +1-555-0123", "Next steps:"]:
        assert one in message.body


def test_a_failure_is_not_told_as_a_success() -> None:
    """The step and its reason are in the message."""
    failed = (3, "failed", {"step": MOVED, "reason": "nginx refuses it"})
    told = notification.written(read(*USUAL[:3], failed, (4, "end", {"outcome": "put back"})), END, {}, "x")
    assert "Failed, Put Back" in told.subject
    assert f"{MOVED}: nginx refuses it" in told.body
    assert "Users served again after: not measured" in told.body


def test_what_was_not_measured_says_so() -> None:
    """No log, no figure; and the reason where there is one."""
    assert "- **Requests that failed at the edge**: not measured" in postmortem.written(read(*USUAL), {}, "x")
    why = read(*USUAL, (9.1, "impact", {"reason": "the edge has no container"}))
    assert "not measured: the edge has no container" in postmortem.written(why, {}, "x")


def test_what_was_measured_is_told_with_its_bounds() -> None:
    """Requests, failures, from when to when."""
    log = [
        '2024-01-19T14:19:58.1Z {"request":"GET / HTTP/2.0","status":200}',
        '2024-01-19T14:19:59.2Z {"request":"POST /api HTTP/1.1","status":502}',
        "2024-01-19T14:19:59.3Z 2024/01/19 14:19:59 [error] 7#7: connect() failed",
        '2024-01-19T14:20:03.0Z 10.0.0.1 - - [19/Jan/2024] "GET /x HTTP/1.1" 503 157 "-" "status 200"',
        '2024-01-19T14:20:04.0Z 10.0.0.1 - - [19/Jan/2024] "GET /x HTTP/1.1" 499 0 "-" "-"',
    ]
    count = counted(log)
    assert (count.requests, count.failed, count.first, count.last) == (
        4,
        2,
        "2024-01-19T14:19:59",
        "2024-01-19T14:20:03",
    )
    text = postmortem.written(read(*USUAL, (9.1, "impact", count.__dict__)), {}, "x")
    assert "2 of 4 from 2024-01-19T14:19:58 to 2024-01-19T14:20:04; the first at 2024-01-19T14:19:59" in text


def test_a_log_without_requests_counts_none() -> None:
    """And names no time."""
    assert counted(["2024-01-19T14:19:58Z notice: ready"]) == counted([])


def test_the_postmortem_has_every_event_but_intents_and_cuts_none_of_the_commands() -> None:
    """Timeline, commands with exit codes, open questions, evidence."""
    text = postmortem.written(read(*USUAL), CONTACTS, "spheroseg")
    assert "| 14:20:04.500 | 4.5 s | done: users served by v4.0.0 | generation answers |" in text
    assert "| 14:20:00 | operator@host | `rollback application v4.0.0 --yes` | 0 |" in text
    assert "- [ ] told beforehand, is it settled: backend publishes 5001" in text
    assert "intent" not in text
    assert f"rollback history --anchor {entries(*USUAL)[-1].digest()}" in text


def test_what_a_log_or_a_name_says_is_no_markup() -> None:
    """A refusal may quote HTML, pipes and backticks."""
    nasty = "<script>alert(1)</script> | `x` \n [a](b)"
    failed = (3, "failed", {"step": "s|t", "reason": nasty})
    text = postmortem.written(read(USUAL[0], failed, (4, "end", {"outcome": "put back"})), {}, "x")
    line = r"| 14:20:03.000 | 3.0 s | failed: s\|t | \<script>alert(1)\</script> \| \`x\` \[a](b) |"
    assert line in text.splitlines()
    assert "<script>" not in text.replace(r"\<", "")


def test_a_journal_written_by_an_older_version_is_still_read(tmp_path: Path) -> None:
    """Without steps, moves, who and command."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("r1", "begin", procedure="application", arguments={}, summary="s")
    journal.append("r1", "end", outcome="done")
    found = incident.find(journal.entries(), "latest")
    assert "unknown" in postmortem.written(found, {}, "x")
    assert [one.command for one in found.commands()] == ["rollback begin"]
