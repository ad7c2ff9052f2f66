"""run.json: what run this was, as the process wrote it that was started by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reports.lines import BadLineError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CUT_SHORT", "FILE", "UNENDED", "Planned", "Run", "read"]

FILE = "run.json"
#: Held against a run from its first moment, until its end takes it away: who is killed cannot write it any more.
UNENDED = "the run did not end, and nothing that it wrote was searched for secrets"
#: Held against a run that somebody interrupted, or that could not go on.
CUT_SHORT = "the run was ended before its time"


@dataclass(frozen=True)
class Planned:
    """One drill that the run selected, or left out.

    Attributes:
        why: who or what left it out.
        because: why it may be left out, where the drills say so themselves.
    """

    drill: str
    title: str
    section: str
    severity: str
    why: str = ""
    because: str = ""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        command: what was typed, with the seed that was drawn: it runs the same drills with the same users' days again.
        started: UTC, ISO 8601; the same for `ended`.
        complete: it was meant to drill every procedure: the monthly drill, or everything.
        asked: the expression of markers by which its drills were chosen; empty without one.
        whole: it was asked for in all places and by nothing but markers.
        narrowed: places and options that left drills out, as they were typed.
        selected: the drills that ran or should have.
        left: the drills that were collected and left out.
        gate: what the gate holds against the run, a sentence each.
        contacts: who to turn to, by role.
        facts: commit, machine and whatever else identifies the run, by name.
    """

    command: str = ""
    started: str = ""
    ended: str = ""
    complete: bool = False
    asked: str = ""
    whole: bool = False
    narrowed: tuple[str, ...] = ()
    selected: tuple[Planned, ...] = ()
    left: tuple[Planned, ...] = ()
    gate: tuple[str, ...] = ()
    contacts: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Say whether it was killed or interrupted: what it has of some drill may be half of it."""
        return UNENDED in self.gate or CUT_SHORT in self.gate


def read(path: Path) -> Run:
    """Read the file; a missing one is a run of which nothing is known.

    Raises:
        BadLineError: the file is damaged.
    """
    if not path.is_file():
        return Run()
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        plans = {name: tuple(Planned(**one) for one in raw.pop(name, ())) for name in ("selected", "left")}
        lists = {name: tuple(raw.get(name, ())) for name in ("gate", "narrowed")}
        return Run(**{**raw, **plans, **lists})
    except (TypeError, ValueError, AttributeError) as error:
        raise BadLineError(f"{path.name} is not the record of a run: {error!r}") from error
