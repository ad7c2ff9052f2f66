"""A finished row repair taken back from the rows that it kept (RUNBOOK, Data Corruption Recovery)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.database import server
from rollback.database.rows.repair import REPAIRED, STAGED, Repair, kept
from rollback.documents.preflight import CHANGES, Preflight
from rollback.outcome import NothingToDo, Refused
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from rollback.deployment import Deployment

__all__ = ["NAME", "drop", "listed", "plan", "survey"]

NAME = "rows undo"


def listed(deployment: Deployment) -> list[dict[str, Any]]:
    """Every repair of which rows are kept, oldest first: its run, whether it stands, its rows by table."""
    with server.session_of(deployment) as session:
        repairs = [Repair(session, run) for run in kept(session)]
        return [
            {
                "run": one.run,
                "stands": one.state() == REPAIRED,
                "tables": {table: {"repaired": some[0], "back": some[1]} for table, some in one.counts().items()},
            }
            for one in repairs
        ]


def survey(deployment: Deployment, repair: str, run: str) -> dict[str, Any]:
    """Read what a repair did; nothing is changed.

    Args:
        deployment: whose.
        repair: the run that repaired, or `latest`: the last one that stands.
        run: the run that takes it back.

    Raises:
        Refused: nothing is kept of it.
        NothingToDo: it does not stand.
    """
    there = listed(deployment)
    chosen = [one for one in there if one["run"] == repair or (repair == "latest" and one["stands"])]
    if not chosen and repair == "latest":
        raise NothingToDo("No repair of rows stands.")
    if not chosen:
        raise Refused(f"Of a repair {repair} nothing is kept.", "`rollback rows kept` lists them")
    if not chosen[-1]["stands"]:
        raise NothingToDo(f"The repair {repair} does not stand: its rows are as they were before it.")
    return {"run": run, "repair": chosen[-1]["run"], "tables": chosen[-1]["tables"]}


def drop(deployment: Deployment, repair: str) -> None:
    """Drop the rows that a repair has kept; it cannot be taken back any more.

    Raises:
        Refused: nothing is kept of it.
    """
    with server.session_of(deployment) as session:
        if repair not in kept(session):
            raise Refused(f"Of a repair {repair} nothing is kept.", "`rollback rows kept` lists them")
        Repair(session, repair).forget()


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        before = Preflight(self.deployment, self.deployment.run_folder(self.facts["run"]))
        back = Step(
            "rows as they were before the repair",
            "in one transaction that commits only if nothing else has changed",
            self._reading,
            self._undo,
            self._redo,
            gate=True,
        )
        notes = [
            f"{table}: {some['repaired']} rows get the values of before, {some['back']} rows go again"
            for table, some in self.facts["tables"].items()
        ]
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"take the repair {self.facts['repair']} back",
            steps=(before.recorded(), before.safe(CHANGES), back),
            notes=(*notes, "a row that somebody has changed since the repair refuses all of it"),
        )

    def _reading(self) -> Reading:
        with server.session_of(self.deployment) as session:
            state = Repair(session, self.facts["repair"]).state()
        told = {REPAIRED: "the repair stands", STAGED: "as before the repair"}
        return Reading(state == STAGED, told.get(state, "nothing is kept"))

    def _undo(self) -> None:
        with server.session_of(self.deployment) as session:
            Repair(session, self.facts["repair"]).undo()

    def _redo(self) -> None:
        with server.session_of(self.deployment) as session:
            Repair(session, self.facts["repair"]).act()
