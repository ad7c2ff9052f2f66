"""Notifications sent through apprise; a target that fails is told of and holds no rollback up."""

from __future__ import annotations

import stat
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from rollback.documents import incident, notification
from rollback.outcome import Failed, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import apprise

    from rollback.deployment import Deployment
    from rollback.documents.notification import Message
    from rollback.journal import Journal

__all__ = ["Delivered", "Notifier", "send", "targets"]

#: Whether it arrived, and where, or why not.
_Became: TypeAlias = tuple[bool, str]
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Delivered:
    """What became of one message at one target, which is named without what it is reached with."""

    target: str
    ok: bool
    seconds: float


def targets(path: Path) -> apprise.Apprise:
    """The targets of a file in apprise's own format: a URL a line, `minor,critical=URL` for some severities only.

    Raises:
        UsageError: the file is not there, others than its owner can read it, or it names no target.
    """
    import apprise  # noqa: PLC0415 -- a quarter of a second, for those alone who notify

    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "write a target URL of apprise into it, one a line")
    if path.stat().st_mode & _OTHERS:
        raise UsageError(f"Others than its owner can read {path}, which holds secrets.", f"`chmod 600 {path}`")
    config = apprise.AppriseConfig()
    config.add(f"file://{path.resolve()}?format=text")
    found = apprise.Apprise()
    found.add(config)
    if not len(found):
        raise UsageError(
            f"{path} names no target that apprise knows.", "a line such as `mailto://...` or `slack://...`"
        )
    return found


def send(path: Path, message: Message) -> list[Delivered]:
    """Send a message to every target that is for its severity or for all; gives back what became of it at each.

    Raises:
        UsageError: see `targets`.
    """
    sent, there = [], targets(path)
    # apprise finds what has no tag only by asking for no tag
    for one in (*there.find(tag=message.severity), *there.find(tag=None)):
        started = time.monotonic()
        ok = bool(one.notify(title=message.subject, body=message.body))
        sent.append(Delivered(_named(one), ok, round(time.monotonic() - started, 3)))
    return sent


def _named(target: apprise.NotifyBase) -> str:
    """What it is and where, as apprise itself masks it: a token stands where others have their host."""
    shown = urlsplit(target.url(privacy=True))
    return f"{shown.scheme}://{shown.netloc.rpartition('@')[2]}"


@dataclass
class Notifier:
    """Tells people of one command's run while it goes on, without holding it up.

    Attributes:
        journal: what is told is derived from it, and what became of it is noted in it.
    """

    deployment: Deployment
    journal: Journal
    _sending: list[tuple[str, threading.Thread, list[_Became]]] = field(default_factory=list)

    def tell(self, run: str, stage: str) -> None:
        """Send a stage of a run in the background; without targets in rollback.toml nothing is sent."""
        name = self.deployment.settings.notify.targets_file
        if name is None:
            return
        message = message_of(self.deployment, incident.find(self.journal.entries(), run), stage)
        became: list[_Became] = []
        thread = threading.Thread(target=_sent, args=(self.deployment.root / name, message, became), daemon=True)
        self._sending.append((stage, thread, became))
        thread.start()

    def settle(self, run: str) -> list[str]:
        """Wait for what is on its way, at most as long as rollback.toml says, note it, and say what did not arrive."""
        deadline = time.monotonic() + self.deployment.settings.notify.seconds
        for _, thread, _ in self._sending:
            thread.join(max(0.0, deadline - time.monotonic()))
        lost = []
        for stage, thread, became in self._sending:
            late = (False, f"no answer within {self.deployment.settings.notify.seconds:g} s")
            for good, seen in [late] if thread.is_alive() else became:
                self.journal.append(run, "notified", stage=stage, ok=good, seen=seen)
                lost += [] if good else [f"nobody was told of the {stage}: {seen}"]
        self._sending.clear()
        return lost


def _sent(path: Path, message: Message, became: list[_Became]) -> None:
    try:
        sent = send(path, message)
        became += [(one.ok, one.target if one.ok else f"{one.target} did not take it") for one in sent]
        became += [] if sent else [(False, "no target is for this severity")]
    except UsageError as stop:
        became.append((False, stop.found))
    except Exception as error:  # noqa: BLE001 -- whatever a target's code does, the rollback goes on and it is told
        became.append((False, type(error).__name__))


def message_of(deployment: Deployment, found: incident.Incident, stage: str) -> Message:
    """The notification of a stage, with the contacts of its severity."""
    table = deployment.settings
    named = getattr(table.notify, found.scenario) or list(table.contacts)
    contacts: Mapping[str, str] = {name: table.contacts[name] for name in named}
    return notification.written(found, stage, contacts, table.deployment.name, table.objectives.of(found.procedure))


def configured(deployment: Deployment) -> Path:
    """The file of the targets.

    Raises:
        UsageError: rollback.toml names none.
    """
    name = deployment.settings.notify.targets_file
    if name is None:
        raise UsageError(
            "rollback.toml has no `targets_file` in [notify].", "add it, or look at the text with `--print`"
        )
    return deployment.root / name


def undelivered(sent: list[Delivered]) -> None:
    """Say what did not arrive.

    Raises:
        Failed: which targets did not take it.
    """
    lost = [one.target for one in sent if not one.ok]
    if lost or not sent:
        told = f"did not take it: {', '.join(lost)}" if lost else "no target is for this severity"
        raise Failed(f"Of {len(sent)} targets {told}.", "`rollback notify` again, or tell them by hand: `--print`")
