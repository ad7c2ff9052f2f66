"""What is told to whom when a rollback starts, gets users served again, and ends (RUNBOOK, Communication)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.documents import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rollback.documents.incident import Incident

__all__ = ["END", "PROGRESS", "START", "Message", "written"]

START, PROGRESS, END = "start", "progress", "end"
_SUBJECTS = {START: "System Rollback Started", PROGRESS: "System Rollback: Users Served", END: "System Rollback Ended"}
_ENDED = {
    "done": "System Rollback Completed",
    "put back": "System Rollback Failed, Put Back",
    "refused": "System Rollback Refused",
    "aborted": "System Rollback Taken Back",
    "open": "System Rollback NOT FINISHED",
}
_NEXT = {
    "done": ("Monitor the system for 24 hours", "Fix what made the rollback necessary", "Plan the deployment anew"),
    "put back": ("Mend what the reason names", "Repeat the rollback, or choose another release"),
    "refused": ("Do what the refusal says", "Choose another release if that takes too long"),
    "aborted": ("The fault that was to be left is still there: decide what is done about it",),
    "open": ("`rollback resume` or `rollback abort` now", "Escalate: users may hang between two states"),
}


@dataclass(frozen=True)
class Message:
    """One notification.

    Attributes:
        severity: `minor`, `major` or `critical`: decides who gets it.
    """

    subject: str
    body: str
    severity: str


def written(
    incident: Incident, stage: str, contacts: Mapping[str, str], name: str, objective: float | None = None
) -> Message:
    """The notification of a stage, from the journal alone.

    Args:
        incident: the run as it stands.
        stage: `start`, `progress` or `end`.
        contacts: whom to ask, by what they are.
        name: of the deployment.
        objective: seconds to recovery that rollback.toml names for the procedure; None where it names none.
    """
    title = _ENDED[incident.outcome] if stage == END else _SUBJECTS[stage]
    paragraphs = [_STAGES[stage](incident), _affected(incident)]
    if stage == END:
        paragraphs += [
            _impact(incident, objective),
            _listed("Root cause", ("to be found; the post-mortem asks for it",)),
        ]
    paragraphs.append(_listed("Next steps", _next(incident, stage)))
    if contacts:
        paragraphs.append(_listed("Contact", words.contacts(contacts)))
    subject = f"[{name}] {title} - {words.instant(incident.began)} ({incident.scenario})"
    return Message(subject, "\n\n".join(paragraphs) + "\n", incident.scenario)


def _started(incident: Incident) -> str:
    by = next((one.who for one in incident.commands() if one.who), "")
    told = f"Status: rollback begun at {words.instant(incident.began)}: {incident.summary}"
    return f"{told}, by {by}" if by else told


def _served(incident: Incident) -> str:
    entry = incident.users_served()
    after = words.duration(incident.seconds(entry)) if entry else words.NOT_MEASURED
    since = f"{after} after {words.beginning(incident)}"
    return f"Status: users are served again, {since}: {incident.summary}. The rollback goes on."


def _ended(incident: Incident) -> str:
    text = f"Status: {words.status(incident)}. It was to {incident.summary}."
    for one in incident.troubles():
        text += f"\n{one.data['step']}: {one.data.get('reason') or one.data.get('seen')}"
    return text


_STAGES = {START: _started, PROGRESS: _served, END: _ended}


def _affected(incident: Incident) -> str:
    return _listed("Affected services", incident.services())


def _impact(incident: Incident, objective: float | None) -> str:
    return _listed("Impact", [f"{title}: {text}" for title, text in words.impact(incident, objective)])


def _next(incident: Incident, stage: str) -> Sequence[str]:
    return _NEXT[incident.outcome] if stage == END else ("Another message follows when it ends",)


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *(f"- {one}" for one in lines)])
