"""The post-mortem of a run as Markdown: facts from the journal, questions for the people (RUNBOOK, Lessons Learned)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rollback.documents import words
from rollback.documents.incident import WATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rollback.documents.incident import Incident, Typed
    from rollback.journal import Entry

__all__ = ["written"]

_QUIET = ("intent",)
_WIDEST = 240
_FILL_IN = "_to be written by those who were there_"


def written(incident: Incident, contacts: Mapping[str, str], name: str, objective: float | None = None) -> str:
    """The document.

    Args:
        incident: the run.
        contacts: by what they are.
        name: of the deployment.
        objective: seconds to recovery that rollback.toml names for the procedure; None where it names none.
    """
    parts = (
        _summary(incident, name, objective),
        *([_reported(incident.reported)] if incident.reported else []),
        _timeline(incident),
        _commands(incident),
        _causes(),
        _lessons(incident),
        _actions(incident),
        _people(contacts),
        _evidence(incident),
    )
    return "\n".join(line for part in parts for line in (*part, ""))


def _summary(incident: Incident, name: str, objective: float | None) -> Iterator[str]:
    yield f"# Post-mortem: {incident.procedure} rollback of {name}, {incident.began:%Y-%m-%d}"
    yield ""
    yield "## Summary"
    yield ""
    yield f"- **Date**: {words.instant(incident.began)}"
    yield f"- **What**: {_plain(incident.summary)}"
    yield f"- **Outcome**: {words.status(incident)}"
    yield f"- **Severity**: {incident.scenario}"
    yield f"- **Affected**: {_plain(', '.join(incident.services()))}"
    for title, text in words.impact(incident, objective):
        yield f"- **{title}**: {_plain(text)}"


def _reported(said: dict[str, Any]) -> Iterator[str]:
    """What was said before anything was changed, and where the state of then lies."""
    yield from ("## As it was reported", "")
    yield f"- **Issue**: {_plain(said['description'])}"
    yield f"- **Severity**: {said['severity']} ({_plain(said['because'])})"
    yield f"- **Affected services**: {_plain(', '.join(said['affected']) or 'none that could be seen')}"
    yield from (f"- **Error**: {_plain(one)}" for one in said["errors"])
    yield f"- Recorded by {_plain(said['by'])} in `runs/{said['run']}`"


def _timeline(incident: Incident) -> Iterator[str]:
    yield "## Timeline"
    yield ""
    yield "| time (UTC) | after | what | seen |"
    yield "|---|---|---|---|"
    for one in (*([incident.watched] if incident.watched else []), *incident.entries):
        if one.event not in _QUIET:
            what, seen = _told(one, incident)
            clock = one.at[11:23].rstrip("Z")
            yield f"| {clock} | {words.duration(incident.seconds(one))} | {_cell(what)} | {_cell(seen)} |"


def _told(one: Entry, incident: Incident) -> tuple[str, str]:
    """What happened, and what was seen of it."""
    data = one.data
    if one.event == WATCH:
        return "the watch decided to roll back", str(data["reason"])
    if one.event == "begin":
        return "rollback begun", incident.summary
    if one.event == "end":
        return f"rollback ended: {data['outcome']}", ""
    seen = str(data.get("reason") or data.get("seen") or "")
    step = str(data.get("step", ""))
    word = {"done": "done", "skipped": "was so already", "missed": "done without", "undone": "taken back"}
    return f"{word.get(one.event, one.event)}: {step}" if step else one.event, seen


def _commands(incident: Incident) -> Iterator[str]:
    yield "## Commands"
    yield ""
    yield "| time | by | command | exit code |"
    yield "|---|---|---|---|"
    for one in incident.commands():
        yield f"| {one.at[11:19]} | {_cell(one.who or 'unknown')} | {_code(one)} | {_exit(one)} |"


def _code(one: Typed) -> str:
    """Whole: it is what has to be typed again."""
    return "`" + " ".join(one.command.split()).replace("|", "\\|").replace("`", "'") + "`"


def _exit(one: Typed) -> str:
    return "none: it was killed" if one.exit is None else str(one.exit)


def _causes() -> Iterator[str]:
    yield from ("## Root cause", "", _FILL_IN)
    yield from ("", "- When was it first noticed, by whom or by what?", "- What changed before it?")


def _lessons(incident: Incident) -> Iterator[str]:
    yield from ("## What went well", "", _FILL_IN, "", "## What went badly", "")
    troubles = list(incident.troubles())
    for one in troubles:
        yield f"- {_plain(one.data['step'])}: {_plain(str(one.data.get('reason') or one.data.get('seen')))}"
    if not troubles:
        yield "No step failed and none was left out. " + _FILL_IN


def _actions(incident: Incident) -> Iterator[str]:
    yield from ("## Action items", "")
    for one in incident.troubles():
        yield f"- [ ] {_plain(one.data['step'])}: why did it fail, and what keeps it from failing again?"
    for note in incident.begin.get("notes", ()):
        yield f"- [ ] told beforehand, is it settled: {_plain(note)}"
    yield "- [ ] what would have found this before it was deployed?"
    yield "- [ ] which drill covers it, and if none does, which one is added?"


def _people(contacts: Mapping[str, str]) -> Iterator[str]:
    yield from ("## Contacts", "")
    yield from (f"- {_plain(one)}" for one in words.contacts(contacts) or ["none in rollback.toml"])


def _evidence(incident: Incident) -> Iterator[str]:
    last = incident.entries[-1]
    yield from ("## Evidence", "")
    yield f"- Run `{incident.run}`, its folder: `runs/{incident.run}` in the state folder of the deployment"
    yield f"- Journal entries {incident.entries[0].seq} to {last.seq}"
    yield f"- `rollback history --anchor {last.digest()}` says whether the journal still is what this was written from"


def _plain(text: str) -> str:
    """One line, and nothing in it that Markdown or a browser would take for its own."""
    return re.sub(r"([\\`*\[<])", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    """As a cell of a table; a long one is cut, the journal has all of it."""
    return _plain(_cut(text)).replace("|", "\\|")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
