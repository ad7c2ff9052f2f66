"""`rollback notify`, `rollback postmortem` and `rollback history` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback.journal import Journal
from rollback.operations import PROCEDURES
from rollback.tables import ObjectivesTable

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
BEGIN = {"procedure": "application", "arguments": {"roles": ["ml"]}, "summary": "from v2 to v1", "moves": []}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A deployment with one finished run."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    one = journal(tmp_path)
    one.append("r1", "begin", **BEGIN)
    one.append("r1", "end", outcome="done")
    return tmp_path


def journal(folder: Path) -> Journal:
    """Its journal."""
    return Journal(folder / ".rollback" / "journal.jsonl")


def test_the_notification_is_printed_and_nothing_is_sent(rollback: Callable[..., str]) -> None:
    """With the contacts of the severity that rollback.toml names."""
    said = rollback("notify", "--print")
    assert said.startswith("0 [spheroseg] System Rollback Completed - ")
    assert "- ml" in said
    assert "- DevOps Lead: devops-lead@company.com" in said
    assert "Escalation" not in said


def test_without_targets_sending_says_what_is_missing(rollback: Callable[..., str]) -> None:
    """Wrong usage, and the way to see the text all the same."""
    assert rollback("notify") == (
        "2 wrong usage: rollback.toml has no `targets_file` in [notify]."
        " Next: add it, or look at the text with `--print`\n"
    )


def test_the_postmortem_goes_into_a_new_file_only(rollback: Callable[..., str], checkout: Path) -> None:
    """What people have written into one is never written over."""
    assert rollback("postmortem", "-o", "post mortem.md") == "0 written to post mortem.md\n"
    text = (checkout / "post mortem.md").read_text(encoding="utf-8")
    assert text.startswith("# Post-mortem: application rollback of spheroseg")
    assert rollback("postmortem", "-o", "post mortem.md").startswith("2 wrong usage: post mortem.md is there already.")
    assert json.loads(rollback("postmortem", "r1", "--json")[2:])["text"] == text


@pytest.mark.parametrize("words", [["postmortem", "r9"], ["notify", "r9", "--print"]], ids=" ".join)
def test_an_unknown_run_is_refused(rollback: Callable[..., str], words: list[str]) -> None:
    """The known ones are named."""
    assert rollback(*words).startswith("20 refused: The journal knows no run r9; it knows: r1.")


def test_the_journal_is_whole_and_is_the_one_of_the_postmortem(rollback: Callable[..., str], checkout: Path) -> None:
    """The chain shows a changed line; the anchor shows a journal that was written anew as a whole."""
    anchor = journal(checkout).entries()[-1].digest()
    journal(checkout).append("r2", "begin", **BEGIN)
    assert rollback("history", "--verify").startswith("0 unbroken: 3 entries, the last one has the hash ")
    assert rollback("history", "--anchor", anchor).startswith("0 unbroken")
    forged = journal(checkout)
    forged.path.unlink()
    forged.append("r1", "begin", **BEGIN)
    forged.append("r1", "end", outcome="put back")
    assert rollback("history", "--verify").startswith("0 unbroken: 2 entries")
    assert rollback("history", "--anchor", anchor).startswith("50 failed: No entry of the journal has the hash")


def test_no_more_is_claimed_of_the_chain_than_it_shows(rollback: Callable[..., str], checkout: Path) -> None:
    """A journal that was cut at the end of a line is unbroken: only an anchor shows it, as help and answer say."""
    one = journal(checkout)
    anchor = one.entries()[-1].digest()
    one.path.write_text(one.path.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    said = rollback("history", "--verify")
    assert said.startswith("0 unbroken: 1 entries")
    assert "whether entries were cut off at the end only a hash that is kept elsewhere can show: --anchor" in said
    assert rollback("history", "--anchor", anchor).startswith("50 failed: No entry of the journal has the hash")
    left = rollback("history", "--anchor", one.entries()[0].digest())
    assert "entries 1 to 1 are those of the anchor; of any cut off after entry 1 it says nothing" in left
    told = " ".join(rollback("history", "--help").replace("│", " ").split())
    assert (
        "Entries that were cut off at the end, and a journal that was written anew as a whole, break no chain" in told
    )


def test_the_objective_is_the_one_of_rollback_toml(rollback: Callable[..., str], checkout: Path) -> None:
    """Of the procedure's kind; post-mortem and notification hold the recovery against the same one."""
    path = checkout / "rollback.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("application = 300", "application = 0"), encoding="utf-8")
    assert "- **Objective**: 0.0 s: MISSED" in rollback("postmortem")
    assert "- Objective: 0.0 s: MISSED" in rollback("notify", "--print")
    path.write_text(text.replace("database = 900", "database = 0"), encoding="utf-8")
    assert "- **Objective**: 5 min 0 s: met" in rollback("postmortem")


def test_each_procedure_has_the_objective_of_its_kind() -> None:
    """By the runbook's Quick Reference; for a breach and for the record of an incident there is none."""
    table = ObjectivesTable(application=1, database=2, configuration=3, recovery=4)
    none = {name for name in PROCEDURES if table.of(name) is None}
    assert none == {"contain", "preflight"}
    assert [table.of(one) for one in ("switch", "schema", "environment", "recover")] == [1, 2, 3, 4]


def test_contacts_that_are_not_there_are_an_error_of_the_settings(rollback: Callable[..., str], checkout: Path) -> None:
    """The names that there are follow."""
    path = checkout / "rollback.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('minor = ["DevOps Lead"', 'minor = ["Nobody"'), encoding="utf-8")
    assert rollback("notify", "--print").startswith(
        f"2 wrong usage: {path}: [notify] names the contact `Nobody`; there are: DevOps Lead, Database Admin"
    )
