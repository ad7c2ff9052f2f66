"""Blue-green: users go from one colour to the other and nobody notices (RUNBOOK, Rollback with Zero Downtime).

The new colour proves itself, takes over at the edge, is watched, and only then is the old one let go: its requests
end where they began, its WebSockets are closed by itself. It stays warm, so the way back is one reload.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback import progress
from rollback.documents import impact
from rollback.documents.preflight import Preflight
from rollback.documents.verification import MAX_ERRORS
from rollback.engine import POLL_SECONDS
from rollback.outcome import Failed, NothingToDo, Refused, Stop
from rollback.parts import files
from rollback.parts.colours import Colours
from rollback.parts.edge import Edge
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["NAME", "plan", "survey"]

NAME = "switch"
#: The share of answers by the server's fault at which a new colour is bad, if there are more than `MAX_ERRORS`.
WORST_SHARE = 0.05
#: So many looks in a row that find it ill, half a second apart: one lost answer, or a restart of the edge, is none.
_LOOKS = 6
#: Of the edge's log, while it is watched: a log of gigabytes is not read from its beginning every half second.
_LINES = 50_000


def survey(deployment: Deployment, colour: str, run: str, *, retire: bool = False) -> dict[str, Any]:
    """Read the world and pass the gates that need nothing started; nothing is changed.

    Args:
        deployment: the live system.
        colour: where users shall be.
        run: id of the run.
        retire: stop the other colour in the end.

    Raises:
        UsageError: rollback.toml has no such colour.
        Refused: the edge leads to neither colour, or does not run.
        NothingToDo: users are there, as nginx itself says, and the other colour is stopped or shall stay.
    """
    colours = Colours(deployment)
    other = colours.check(colour)
    serving = colours.serving()
    if serving is None:
        raise Refused("The edge leads to neither colour.", "`rollback nginx last-good`")
    if deployment.edge_running() is None:
        raise Refused("The edge does not run.", "`rollback nginx last-good`")
    there, served = deployment.migrations(), colours.serves(colour).holds
    if served and not (retire and colours.containers(other)):
        raise NothingToDo(f"Users are served by {colour} already.")
    return {
        "run": run,
        "colour": colour,
        "other": other,
        "moves": not served,
        "file": serving,
        "back": other if serving == other or (not served and colours.containers(other)) else colour,
        "ran": bool(colours.containers(colour)),
        "retire": retire,
        "head": there[-1] if there else "",
    }


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Told:
    """What the edge's log says of users, if it could be read."""

    seen: str = ""
    read: bool = True


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    @property
    def colour(self) -> str:
        """Where users go."""
        return str(self.facts["colour"])

    @property
    def other(self) -> str:
        """Where they come from."""
        return str(self.facts["other"])

    @property
    def colours(self) -> Colours:
        """Both."""
        return Colours(self.deployment)

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.deployment.run_folder(self.facts["run"])

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        moving = (self._started(), self._proven(), self._moved(), self._baked(), self._drained(), self._serving())
        # the file may have been written by hand since: it is put into force anew, and what was said of it is proven
        staying = (self._proven(), self._moved(), self._serving())
        warm = f"{self.other} stays warm: `rollback switch {self.other}` is the way back, `--retire` stops it"
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=self._summary(),
            steps=(
                Preflight(self.deployment, self.folder).recorded(),
                *(moving if self.facts["moves"] else staying),
                *((self._retired(),) if self.facts["retire"] else ()),
            ),
            notes=() if self.facts["retire"] else (warm,),
        )

    def _summary(self) -> str:
        if not self.facts["moves"]:
            return f"stop {self.other}"
        if self.facts.get("file") == self.colour:
            return f"users to {self.colour}: the edge's file leads there, and it is not seen that they are served by it"
        return f"users from {self.other} to {self.colour}"

    def _started(self) -> Step:
        return Step(
            f"{self.colour} runs",
            "it is started beside, with its own Compose files",
            lambda: Reading(bool(self.colours.containers(self.colour)), f"{self.colour} runs or not"),
            lambda: self.colours.start(self.colour),
            self._stop_again,
            gate=True,
        )

    def _stop_again(self) -> None:
        """As it was: one that ran before goes on."""
        if not self.facts["ran"]:
            self.colours.stop(self.colour)

    def _proven(self) -> Step:
        return Step(
            f"{self.colour} proven",
            "healthy, and able to work with the schema, asked from inside the edge",
            lambda: self.colours.proven(self.colour, self.facts["head"]),
            lambda: self.colours.prove(self.colour, self.facts["head"]),
            gate=True,
        )

    def _moved(self) -> Step:
        return Step(
            f"users served by {self.colour}",
            "a reload is believed only when the edge itself answers the new generation",
            lambda: Edge(self.deployment).reading(self._generation()),
            lambda: self._lead_to(self.colour, self._generation()),
            self._move_back,
        )

    def _generation(self) -> str:
        return f"{self.facts['run']}-{self.colour}"

    def _lead_to(self, colour: str, generation: str) -> None:
        edge = Edge(self.deployment)
        edge.switch(generation, edge.content(generation, self.colours.servers(colour), {}))

    def _move_back(self) -> None:
        """The other colour is warm: it was not let go before the new one had been watched."""
        back = str(self.facts.get("back", self.other))
        self._lead_to(back, f"{self.facts['run']}-back")
        if back != self.colour:
            # an ill colour may not hear it: nginx ends what is left after a while
            self.colours.say_farewell(self.colour)
        Edge(self.deployment).drain()

    def _baked(self) -> Step:
        seconds = self.deployment.settings.switch.bake_seconds
        return Step(
            f"{self.colour} watched for {seconds:g} s",
            "users go back at once if it turns bad, while the other one still runs",
            self._is_baked,
            self._bake,
        )

    def _is_baked(self) -> Reading:
        path = self.folder / "watched.txt"
        return Reading(path.is_file(), path.read_text(encoding="utf-8").strip() if path.is_file() else "not watched")

    def _bake(self) -> None:
        seconds, began, ill = self.deployment.settings.switch.bake_seconds, datetime.now(UTC), 0
        start = time.monotonic()
        while (left := start + seconds - time.monotonic()) > 0:
            now = self._look()
            ill = 0 if now.holds else ill + 1
            if ill >= _LOOKS:
                raise Failed(f"{self.colour} turned ill {seconds - left:.0f} s after the switch: {now.seen}.")
            self._count(began)
            progress.tell(f"watching {self.colour}: {left:.0f} s left")
            time.sleep(min(left, POLL_SECONDS * 10))
        told = self._count(began)
        if not told.read:
            raise Failed(f"What users met since they are served by {self.colour} is not known: {told.seen}")
        files.write(self.folder / "watched.txt", f"{told.seen}\n", mode=0o600)

    def _look(self) -> Reading:
        """An edge that cannot be asked serves nobody."""
        try:
            return self.colours.serves(self.colour)
        except Stop as stop:
            return Reading(holds=False, seen=stop.found)

    def _count(self, began: datetime) -> _Told:
        """What users met since, from the edge's log; that it cannot be read says nothing of the colour.

        Raises:
            Failed: too many answers by the server's fault.
        """
        try:
            found = impact.since(self.deployment, began, latest=_LINES)
        except Stop as stop:
            return _Told(stop.found, read=False)
        if found.failed > MAX_ERRORS and found.failed > WORST_SHARE * found.requests:
            raise Failed(
                f"{found.failed} of {found.requests} requests failed since users are served by {self.colour}"
                f" (limit {WORST_SHARE:.0%})."
            )
        return _Told(f"{found.failed} of {found.requests} requests failed")

    def _drained(self) -> Step:
        return Step(
            f"requests to {self.other} finished",
            "a request in flight ends where it began; WebSockets are closed by the colour itself",
            Edge(self.deployment).draining,
            self._drain,
        )

    def _drain(self) -> None:
        refused = self.colours.say_farewell(self.other)
        if refused:
            raise Failed(f"WebSockets would be cut: {refused}.", "mend [switch] farewell in rollback.toml")
        Edge(self.deployment).drain()

    def _serving(self) -> Step:
        return Step(
            f"{self.colour} serves still",
            "it may have died while the other one was let go",
            lambda: self.colours.serves(self.colour),
            _nothing,
        )

    def _retired(self) -> Step:
        return Step(
            f"{self.other} stopped",
            "as asked for; it is kept, and started again by the way back",
            lambda: Reading(not self.colours.containers(self.other), f"{self.other} stopped or not"),
            lambda: self.colours.stop(self.other),
            lambda: self.colours.start(self.other),
        )


def _nothing() -> None:
    """Only the reading counts."""
