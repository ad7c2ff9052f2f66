"""Post-Rollback Actions: what people are told of a rollback agrees with what users and probes have seen of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.mailbox import TOKEN, open_mailbox
from fixtures.scenario import AFTER_APPLICATION, OBJECTIVE, Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill
    from fixtures.mailbox import Mailbox
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.aftermath]

SECTION = "Post-Rollback Actions / Communication, Lessons Learned"
STAGES = ["System Rollback Started", "System Rollback: Users Served", "System Rollback Completed"]
SERVER_FAULT = 500
#: Seconds by which what is told may differ from what users saw: it is rounded, and counted from the program's start.
LATEST = 1.0


def subscribed(drill: Drill, box: Mailbox) -> None:
    """The team wants to be told: one target for everything, one for critical rollbacks alone."""
    checkout = drill.stack.checkout
    targets = checkout / ".rollback/notify.conf"
    targets.write_text(box.url(), encoding="utf-8")
    targets.chmod(0o600)
    settings = checkout / "rollback.toml"
    text = settings.read_text(encoding="utf-8")
    line = 'targets_file = ".rollback/notify.conf"'
    settings.write_text(text.replace("[notify]\n", f"[notify]\n{line}\n"), encoding="utf-8")


def events(case: Case, name: str) -> list[dict[str, Any]]:
    """What the journal says of one kind of event."""
    entries = [json.loads(line) for line in case.journal().splitlines()]
    return [one["data"] for one in entries if one["event"] == name]


def told(case: Case, box: Mailbox) -> list[Finding]:
    """Notifications, post-mortem and journal against the drill's own record."""
    subjects = [one["title"].split("] ")[1].split(" - ")[0] for one in box.letters]
    text = case.postmortem()["text"]
    anchored = case.stack.rollback("history", "--anchor", text.rpartition("--anchor ")[2].split("`")[0])
    return [
        finding("told in order", subjects == STAGES, f"{subjects}"),
        finding("anchored", anchored.status == 0, anchored.stderr),
        finding("command in the post-mortem", f"rollback {' '.join(case.scenario.command)}" in text, text),
        finding("secrets", TOKEN not in case.journal() + text, "the webhook's token is in a document"),
        *measured(case, text, box.letters[-1]["message"] if box.letters else ""),
    ]


def measured(case: Case, text: str, last: str) -> list[Finding]:
    """Failed requests and recovery: the same figure everywhere, and the one that users saw."""
    (impact,) = events(case, "impact")
    failed = f"{impact.get('failed')} of {impact.get('requests')}"
    started, ended = case.history.first("rollback started") or 0.0, case.history.last("rollback ended") or 0.0
    seen = [one for one in case.history.requests if one.done < ended and (one.status or 0) >= SERVER_FAULT]
    # by when it was asked: who sends an upload over a slow line just before the switch reads its 500 seconds after it
    last_asked = max((one.sent for one in seen), default=0.0) - started
    served = _served(text)
    return [
        finding("impact told", failed in text and failed in last, f"{failed} is not in {last} or not in {text}"),
        finding(
            "impact measured",
            bool(seen) and len(seen) <= impact.get("failed", -1) < impact.get("requests", 0),
            f"users saw {len(seen)} answers of 5xx, the edge's log has {impact}",
        ),
        finding(
            "recovery told",
            bool(seen) and 0 < served < ended - started and last_asked < served + LATEST,
            f"told {served:.1f} s, users asked in vain last {last_asked:.1f} s after the command",
        ),
    ]


def _served(text: str) -> float:
    """Seconds from the command to users served, as the post-mortem tells them."""
    words = text.partition("**Users served again after**: ")[2].split()
    return float(words[0]) if len(words) > 1 and words[1] == "s" else float("nan")


@pytest.mark.drill(
    id="aftermath-documents", section=SECTION, procedure="aftermath", severity="normal", objective=OBJECTIVE
)
def test_what_people_are_told_is_what_happened(drill: Bench) -> None:
    """Everybody is told of start, recovery and end, and the post-mortem has the figures that users saw."""
    with open_mailbox() as box:
        drill(
            Scenario.back_to(
                GOOD,
                candidates.errors(),
                before_command=lambda one: subscribed(one, box),
                further=lambda case: told(case, box),
                residue=(*AFTER_APPLICATION, Allowed("file rollback.toml", "the team asked to be told")),
            )
        )
