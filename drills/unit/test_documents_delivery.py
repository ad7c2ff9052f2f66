"""Notifications: sent to a real HTTP server, and no reason for a rollback to fail or to wait."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from fixtures.mailbox import TOKEN, open_mailbox
from rollback.deployment import Deployment
from rollback.documents import delivery, impact
from rollback.documents.notification import Message
from rollback.documents.telling import Telling
from rollback.journal import Journal
from rollback.outcome import Failed, UsageError
from rollback.plan import Plan, Reading, Step
from rollback.runner import Runner
from rollback.typed import Typed

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
MESSAGE = Message("a subject", "a body\n", "major")
MOVED = "users moved"


def targets(folder: Path, *lines: str, mode: int = 0o600) -> Path:
    """A targets' file."""
    path = folder / "who is told ü.conf"
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_message_reaches_every_target_of_its_severity_and_those_of_all(tmp_path: Path) -> None:
    """Apprise's own tags are the severities."""
    with open_mailbox() as everyone, open_mailbox() as major, open_mailbox() as critical:
        path = targets(tmp_path, everyone.url(), major.url("minor,major"), critical.url("critical"))
        sent = delivery.send(path, MESSAGE)
    assert [one.ok for one in sent] == [True, True]
    assert [len(one.letters) for one in (everyone, major, critical)] == [1, 1, 0]
    assert (everyone.letters[0]["title"], everyone.letters[0]["message"]) == ("a subject", "a body")


def test_a_target_that_does_not_take_it_is_named_without_its_secrets(tmp_path: Path) -> None:
    """The other one gets it all the same."""
    with open_mailbox(status=500) as broken, open_mailbox() as sound:
        sent = delivery.send(targets(tmp_path, broken.url(), sound.url()), MESSAGE)
    assert sorted(one.ok for one in sent) == [False, True]
    assert len(sound.letters) == 1
    with pytest.raises(Failed, match=r"Of 2 targets did not take it: json://127\.0\.0\.1") as stop:
        delivery.undelivered(sent)
    assert TOKEN not in str(stop.value)


SLACK = ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ")


def test_slack_gets_what_it_reads_and_its_tokens_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line as the reference of rollback.toml shows it is a webhook of Slack, whose address is three tokens."""
    path = targets(tmp_path, f"critical=slack://{'/'.join(SLACK)}/#operations\n")
    (one,) = delivery.targets(path).find(tag="critical")
    assert type(one).__name__ == "NotifySlack"
    assert list(delivery.targets(path).find(tag="major")) == []
    with open_mailbox() as box:
        monkeypatch.setattr(type(one), "webhook_url", f"http://127.0.0.1:{box.server_port}")
        (sent,) = delivery.send(path, Message("a subject", "a body\n", "critical"))
    (letter,) = box.letters
    assert letter["channel"] == "#operations"
    assert (letter["attachments"][0]["title"], letter["attachments"][0]["text"]) == ("a subject", "a body")
    assert sent.target.startswith("slack://")
    assert not [token for token in SLACK if token in sent.target]


def test_nobody_for_a_severity_is_told(tmp_path: Path) -> None:
    """Nothing sent is not a success."""
    with open_mailbox() as one:
        sent = delivery.send(targets(tmp_path, one.url("critical")), MESSAGE)
    assert sent == []
    with pytest.raises(Failed, match="Of 0 targets no target is for this severity"):
        delivery.undelivered(sent)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("json://127.0.0.1/x\n", 0o640, "Others than its owner can read"),
        ("", 0o600, "names no target that apprise knows"),
        ("carrier-pigeon://loft\n", 0o600, "names no target that apprise knows"),
    ],
    ids=["mode", "empty", "unknown"],
)
def test_a_file_of_targets_that_cannot_be_used_is_a_sentence(tmp_path: Path, text: str, mode: int, words: str) -> None:
    """What is wrong, and what to do."""
    with pytest.raises(UsageError, match=words):
        delivery.send(targets(tmp_path, text, mode=mode), MESSAGE)
    with pytest.raises(UsageError, match="There is no file"):
        delivery.send(tmp_path / "none", MESSAGE)


class Screen:
    """What the operator sees."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """One line."""
        self.said.append(text)

    def started(self, step: Step) -> None:
        """A step begins."""

    def working(self, text: str) -> None:
        """How far it is."""

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended."""


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """The reference's settings with a file of targets; its edge's log is none of this test's business."""
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8").split("[notify]")[0]
    table = '\n[notify]\ntargets_file = "who is told ü.conf"\nseconds = 30\nminor = ["On-Call"]\n'
    (tmp_path / "rollback.toml").write_text(text + table, encoding="utf-8")
    monkeypatch.setattr(impact, "measure", lambda *_: {"reason": "not asked here"})
    return Deployment.load(tmp_path)


def carried_out(deployment: Deployment, *, fails: bool = False) -> tuple[Screen, Journal]:
    """A run of two steps, the first of which moves users."""
    screen, journal, on = Screen(), Journal(deployment.state / "journal.jsonl"), set[str]()

    def act(name: str) -> None:
        if fails:
            raise Failed("it broke.")
        on.add(name)

    def step(name: str, *, moves: bool = False) -> Step:
        return Step(name, "because", lambda: Reading(name in on, "seen"), lambda: act(name), moves_users=moves)

    facts: dict[str, str] = {}
    plan = Plan("application", facts, "r1", "from here to there", (step(MOVED, moves=not fails), step("rest")))
    with Telling(deployment, journal, screen, "r1", {"start", "progress", "end"}).whole() as view:
        Runner(journal, view, str, Typed("rollback application v1", time.monotonic())).run(plan)
    return screen, journal


def test_start_progress_and_end_are_told_while_a_run_goes_on(tmp_path: Path, deployment: Deployment) -> None:
    """Each once, in order, with the contacts of its severity; the journal notes that they arrived."""
    with open_mailbox() as box:
        targets(tmp_path, box.url())
        screen, journal = carried_out(deployment)
    titles = sorted(one["title"].split("] ")[1].split(" - ")[0] for one in box.letters)
    assert titles == ["System Rollback Completed", "System Rollback Started", "System Rollback: Users Served"]
    assert all("On-Call" in one["message"] and "DevOps Lead" not in one["message"] for one in box.letters)
    noted = [one.data for one in journal.entries() if one.event == "notified"]
    assert [(one["stage"], one["ok"]) for one in noted] == [("start", True), ("progress", True), ("end", True)]
    assert screen.said == []
    assert TOKEN not in journal.path.read_text(encoding="utf-8")


def test_a_run_that_fails_tells_so_and_keeps_its_own_reason(tmp_path: Path, deployment: Deployment) -> None:
    """The end is told from the journal: put back, with the step and why."""
    with open_mailbox() as box:
        targets(tmp_path, box.url())
        with pytest.raises(Failed, match="it broke"):
            carried_out(deployment, fails=True)
    assert any("Failed, Put Back" in one["title"] and "it broke" in one["message"] for one in box.letters)


@pytest.mark.parametrize("trouble", ["refused", "file"])
def test_nobody_could_be_told_and_the_run_is_done(tmp_path: Path, deployment: Deployment, trouble: str) -> None:
    """It is said, noted, and no reason for the run to fail."""
    if trouble == "refused":
        with open_mailbox() as gone:
            pass
        targets(tmp_path, gone.url())
    screen, journal = carried_out(deployment)
    events = [one.event for one in journal.entries()]
    assert events.index("end") < events.index("notified")
    assert [one.data["ok"] for one in journal.entries() if one.event == "notified"] == [False] * 3
    assert len(screen.said) == 3
    assert all(one.startswith("warning: nobody was told of the ") for one in screen.said)


def test_a_target_that_does_not_answer_holds_nothing_up(tmp_path: Path, deployment: Deployment) -> None:
    """The end waits as long as rollback.toml says, and no longer."""
    impatient = deployment.settings.notify.model_copy(update={"seconds": 0.2})
    settings = deployment.settings.model_copy(update={"notify": impatient})
    gate = threading.Event()
    with open_mailbox(gate=gate) as box:
        targets(tmp_path, box.url())
        screen, journal = carried_out(Deployment(deployment.root, settings, deployment.engine))
        assert not gate.is_set()
        assert "no answer within 0.2 s" in screen.said[0]
        assert journal.unfinished() is None


def test_without_targets_nothing_is_sent_and_nothing_said(tmp_path: Path) -> None:
    """The table is optional."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    journal = Journal(tmp_path / "journal.jsonl")
    notifier = delivery.Notifier(Deployment.load(tmp_path), journal)
    notifier.tell("r1", "start")
    assert notifier.settle("r1") == []
    assert journal.entries() == []
