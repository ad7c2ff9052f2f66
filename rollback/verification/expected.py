"""Which release each part should be as, from the journal: the last one that was recorded or gone back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rollback.journal import Entry

__all__ = ["GROUPS", "IMAGES", "expected", "last_end"]

IMAGES = "images"
GROUPS = (IMAGES, "environment", "compose", "nginx", "certificates", "monitoring")
#: What a procedure puts back that does not say so by itself.
_APPLICATION = (IMAGES, "environment", "compose")


def expected(entries: Sequence[Entry]) -> dict[str, str]:
    """By group the release that it was last recorded as, or put back to by a run that was done.

    A group that is not there was never recorded: nobody can say what it should be.
    """
    begun = {one.run: one.data for one in entries if one.event == "begin"}
    found: dict[str, str] = {}
    for one in entries:
        if one.event == "release":
            found = dict.fromkeys(GROUPS, str(one.data["version"]))
        elif one.event == "end" and one.data["outcome"] == "done" and one.run in begun:
            facts = begun[one.run]["arguments"]
            for group in _put_back(str(begun[one.run]["procedure"]), facts):
                found[group] = str(facts["version"])
    return found


def _put_back(procedure: str, facts: dict[str, object]) -> Iterable[str]:
    if "version" not in facts:
        return ()
    if "part" in facts:
        return (str(facts["part"]),)
    if procedure == "application":
        return _APPLICATION
    parts = facts.get("parts")
    return [str(one) for one in parts if one in GROUPS] if isinstance(parts, list) else ()


def last_end(entries: Sequence[Entry]) -> str | None:
    """When the last run ended that changed something, UTC, ISO 8601; None where there is none."""
    ends = (one.at for one in reversed(entries) if one.event == "end" and one.data["outcome"] != "refused")
    return next(ends, None)
