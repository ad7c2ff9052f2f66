"""Which kind of run it was, in words: derived from how it was asked for, and claiming no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.run import Run

__all__ = ["Kind", "kind"]

_SHOWN = 3


@dataclass(frozen=True)
class Kind:
    """What a run is called, and what it is there for."""

    name: str
    what: str


#: What the monthly drill does not choose: whoever runs both has run everything.
REST = "not monthly"
#: By the markers that choose its drills, if nothing else left any out.
WHOLE = {
    "monthly": Kind(
        "the monthly drill", "every procedure of the runbook with its variations; further kills are of the rest"
    ),
    REST: Kind(
        "the rest of the month",
        "whatever is no monthly drill: kills in further steps, the drills of the drills, and the tests",
    ),
    "": Kind("the tests", "every procedure of the runbook, each by its hardest drill"),
    "gate": Kind(
        "the gate of a release",
        "a drill of each chapter that rolls something back, and of each thing that a release can bring broken",
    ),
    "exhaustive": Kind("the exhaustive set", "the variations that do not run with the tests"),
}
UNKNOWN = Kind("a partial run", "how it was asked for is not recorded")
_HAND = "drills picked by hand"


def kind(run: Run) -> Kind:
    """Return the kind of the run; what was narrowed is a part, and what nobody recorded is partial."""
    whole = WHOLE.get(run.asked) or Kind(f"the drills of -m {run.asked}", "chosen by their markers")
    if run.whole or run.complete:
        return whole
    if not run.narrowed:
        return UNKNOWN
    return Kind(f"a part of {whole.name}" if run.asked else _HAND, f"asked for by {_listed(run.narrowed)}")


def _listed(words: tuple[str, ...]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
