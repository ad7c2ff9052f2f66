"""A run of the journal read as an incident: who did what when, how it ended, what it cost; nothing else is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.outcome import Exit, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.journal import Entry

__all__ = ["LATEST", "SCENARIOS", "WATCH", "Incident", "Typed", "find"]

LATEST = "latest"
#: The procedure that records an incident and rolls nothing back.
PREFLIGHT = "preflight"
#: The event by which the watch says why it begins a run; it stands before the beginning.
WATCH = "watch"
#: An incident that was recorded longer ago is another one.
_OLD = timedelta(hours=24)

#: RUNBOOK, Rollback Scenarios: what a procedure is for says how bad it is, until somebody says otherwise.
MINOR, MAJOR, CRITICAL = SCENARIOS = ("minor", "major", "critical")
_MAJOR = frozenset({"migration", "migration forward", "database", "rows", "rows undo", "schema"})
_CRITICAL = frozenset({"recover", "contain"})

_EXITS = {
    "done": Exit.DONE,
    "refused": Exit.REFUSED,
    "put back": Exit.PUT_BACK,
    "aborted": Exit.DONE,
}
_WORKED = ("done", "skipped", "missed", "undone")


@dataclass(frozen=True)
class Typed:
    """One command of an operator.

    Attributes:
        at: UTC, ISO 8601.
        exit: the code that it ended with; None while nobody knows (it was killed, or still runs).
    """

    at: str
    who: str
    command: str
    exit: int | None


@dataclass(frozen=True)
class Incident:
    """One run, from its entries.

    Attributes:
        entries: those of the run, in order; the first one is its beginning.
        reported: what was said of the incident before the run, by `rollback preflight`, and `at`: when; None where
            nothing was.
        watched: what the watch has seen that began the run; None where somebody typed it.
    """

    entries: Sequence[Entry] = field(repr=False)
    reported: dict[str, Any] | None = None
    watched: Entry | None = None

    @property
    def begin(self) -> dict[str, Any]:
        """What the journal noted at the beginning."""
        return self.entries[0].data

    @property
    def run(self) -> str:
        """Its id."""
        return self.entries[0].run

    @property
    def procedure(self) -> str:
        """Its name, as in the command."""
        return str(self.begin["procedure"])

    @property
    def summary(self) -> str:
        """From where to where, in one line."""
        return str(self.begin["summary"])

    @property
    def outcome(self) -> str:
        """`done`, `put back`, `refused`, `aborted`, or `open` for a run that has not ended."""
        ends = [one.data["outcome"] for one in self.entries if one.event == "end"]
        return str(ends[-1]) if ends else "open"

    @property
    def began(self) -> datetime:
        """When its command was typed, or the watch decided, UTC."""
        return _time(self.entries[0]) - timedelta(seconds=self._lead)

    @property
    def _lead(self) -> float:
        """Seconds from the command to its first entry: reading, planning, the question to the operator.

        The command of a watch was typed long before anything was wrong: there it is from its decision.
        """
        if self.watched is not None:
            return max(0.0, self.entries[0].mono - self.watched.mono)
        return float(self.begin.get("typed_s_ago", 0.0))

    @property
    def ended(self) -> datetime | None:
        """When it ended, UTC; None while it is open."""
        return next((_time(one) for one in reversed(self.entries) if one.event == "end"), None)

    def seconds(self, entry: Entry) -> float:
        """Seconds from the command to an entry, by the monotonic clock unless the host was booted between them."""
        first = self.entries[0]
        if entry.seq < first.seq:  # the decision of the watch, from which they count
            return 0.0
        boots = {one.data.get("boot") for one in self.entries if one.seq <= entry.seq and "command" in one.data}
        by_clock = (_time(entry) - _time(first)).total_seconds()
        # the monotonic clock begins anew at a boot; within one it does not care who sets the time
        return self._lead + (by_clock if len(boots) > 1 or entry.mono < first.mono else entry.mono - first.mono)

    @property
    def duration(self) -> float | None:
        """Seconds from the beginning to the end; None while it is open."""
        last = next((one for one in reversed(self.entries) if one.event == "end"), None)
        return None if last is None else self.seconds(last)

    def users_served(self) -> Entry | None:
        """When users were first served by the target; None where it did not get so far, or needed no such step."""
        moving = set(self.begin.get("moves", ()))
        return next((one for one in self.entries if one.event in _WORKED[:2] and one.data.get("step") in moving), None)

    def past_return(self) -> bool:
        """Whether a step was begun whose taking back costs what users wrote meanwhile: another database serves them."""
        kinds = ("final", "moves") if "rows_lost" in self.figures() else ("final",)
        steps = {name for kind in kinds for name in self.begin.get(kind, ())}
        return any(one.event in ("intent", *_WORKED[:2]) and one.data.get("step") in steps for one in self.entries)

    def recovery(self) -> float | None:
        """Seconds from the command to users served by what it put back; None where users were not moved."""
        if self.outcome != "done":
            return None
        served = self.users_served()
        return self.seconds(served) if served else self.duration

    def figures(self) -> dict[str, float]:
        """What its steps have measured, by name; of one that was repeated the last one counts."""
        found: dict[str, float] = {}
        for one in self.entries:
            found |= one.data.get("figures", {})
        return found

    def measured(self) -> dict[str, Any] | None:
        """What the edge's log says of users meanwhile, or why that could not be read; None where nobody looked."""
        return next((one.data for one in reversed(self.entries) if one.event == "impact"), None)

    def troubles(self) -> Iterator[Entry]:
        """What failed or was done without, in order."""
        return (one for one in self.entries if one.event in ("failed", "missed"))

    @property
    def scenario(self) -> str:
        """`minor`, `major` or `critical`: as it was reported, else by its procedure.

        Critical whatever was said when it failed and was not put back.
        """
        stuck = self.outcome == "open" and any(one.event == "failed" for one in self.entries)
        if self.procedure in _CRITICAL or stuck:
            return CRITICAL
        said = self.begin.get("arguments", {}).get("severity") or (self.reported or {}).get("severity")
        if said:
            return str(said)
        return MAJOR if self.procedure in _MAJOR else MINOR

    def services(self) -> list[str]:
        """What was rolled back, by role or part; the procedure's own name where the journal does not say."""
        arguments = self.begin.get("arguments", {})
        named = (
            arguments.get("affected")
            or arguments.get("roles")
            or arguments.get("tables")
            or [arguments.get("part") or arguments.get("table")]
        )
        return [str(one) for one in named if one] or [self.procedure]

    def commands(self) -> list[Typed]:
        """Every command that worked on it, with its exit code."""
        typed = [one for one in self.entries if one.event in ("begin", "resume", "abort")]
        after = [*typed[1:], None]
        return [self._typed(one, end) for one, end in zip(typed, after, strict=True)]

    def _typed(self, entry: Entry, following: Entry | None) -> Typed:
        until = following.seq if following else self.entries[-1].seq + 1
        within = [one for one in self.entries if entry.seq <= one.seq < until]
        ends = [one.data["outcome"] for one in within if one.event == "end"]
        broke = any(one.event == "failed" for one in within)
        code = _EXITS[ends[-1]] if ends else Exit.NOT_PUT_BACK if broke else None
        who, command = str(entry.data.get("who", "")), str(entry.data.get("command", ""))
        return Typed(entry.at, who, command or f"rollback {entry.event}", None if code is None else int(code))


def _time(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.at)


def find(entries: Sequence[Entry], run: str) -> Incident:
    """A run by its id, or the latest one.

    Args:
        entries: the whole journal.
        run: an id, or `latest`.

    Raises:
        Refused: there is none of that id; it says which there are.
    """
    begun = [one.run for one in entries if one.event == "begin"]
    runs = [one.run for one in entries if one.event == "begin" and one.data["procedure"] != PREFLIGHT]
    wanted = (runs or begun)[-1] if run == LATEST and begun else run
    if wanted not in begun:
        known = ", ".join(begun[-10:]) or "none"
        raise Refused(f"The journal knows no run {run}; it knows: {known}.", "`rollback history`")
    mine = [one for one in entries if one.run == wanted]
    first = next(n for n, one in enumerate(mine) if one.event == "begin")
    watched = next((one for one in mine[:first] if one.event == WATCH), None)
    return Incident(mine[first:], _reported(entries, wanted), watched)


def _reported(entries: Sequence[Entry], run: str) -> dict[str, Any] | None:
    """What the last `rollback preflight` before the run was told, unless another run came in between, or a day."""
    said: Entry | None = None
    for one in (entry for entry in entries if entry.event == "begin"):
        is_preflight = one.data["procedure"] == PREFLIGHT
        if one.run == run:
            fresh = said is not None and not is_preflight and _time(one) - _time(said) < _OLD
            return {**said.data["arguments"], "at": said.at} if said is not None and fresh else None
        said = one if is_preflight else None
    return None
