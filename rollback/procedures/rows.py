"""Row repair: damaged and lost rows of one table put back from a backup (RUNBOOK, Data Corruption Recovery).

The backup is restored into a scratch PostgreSQL and proven there, so the live server does no more than be read; each
row that differs gets its decision, and only those of the plan are written, in one transaction with its proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.containment.believed import believed
from rollback.database import server
from rollback.database.rows.comparison import Comparison, Found, Wanted
from rollback.database.rows.condition import EVERYTHING, condition
from rollback.database.rows.decision import MOMENTS, Verdict
from rollback.database.rows.repair import REPAIRED, STAGED, Repair
from rollback.documents.preflight import CHANGES, Preflight
from rollback.outcome import NothingToDo, Refused
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Connection, Server
    from rollback.deployment import Deployment

__all__ = ["LISTED", "NAME", "Order", "plan", "survey"]

NAME = "rows"
#: In the folder of the run: every row with old, new and decision.
LISTED = "rows.jsonl"


@dataclass(frozen=True)
class Order:
    """What the operator asks for.

    Attributes:
        table: named with or without its schema.
        backup: an id, or `latest`.
        where: an expression; empty: every row.
        overwrite: also rows that were changed since the backup.
        listed: where every row is written with its decision before anybody decides; None: nowhere.
    """

    table: str
    backup: str
    where: str = ""
    overwrite: bool = False
    listed: Path | None = None


def survey(deployment: Deployment, order: Order, run: str) -> dict[str, Any]:
    """Restore the backup into a scratch PostgreSQL and compare; nothing is changed.

    Raises:
        Refused: see `Desk.restored` and `Comparison.found`.
        NothingToDo: no row is to be repaired or brought back.
    """
    with believed(deployment, order.backup) as (then, manifest), server.session_of(deployment) as live:
        found = _compared(live, then, manifest, order)
    if order.listed is not None:
        found.listed(order.listed)
    counts = found.counts()
    left = {table: some[Verdict.LEAVE] for table, some in counts.items() if Verdict.LEAVE in some}
    if not found.tables:
        told = "".join(f"; {n} rows of {table} are new or changed since, and left" for table, n in left.items())
        raise NothingToDo(f"No row of {order.table} is to be put back from {manifest.id}{told}.")
    return {
        "run": run,
        "backup": manifest.id,
        "table": order.table,
        "where": order.where,
        "overwrite": order.overwrite,
        # users work while the question is open: by then more may differ, which is left, or less
        "seen": {
            "writes": {one.table: _written(counts[one.table]) for one in found.tables},
            "rows": found.marks(),
            "undated": [one.table for one in found.tables if not {*MOMENTS} & {*one.names}],
            "left": left,
        },
    }


def _written(counts: dict[str, int]) -> dict[str, int]:
    return {kind: number for kind, number in counts.items() if kind != Verdict.LEAVE}


def _compared(
    live: Connection,
    then: Server,
    manifest: Manifest,
    order: Order,
    use: Callable[[Connection, Found], None] = lambda _then, _found: None,
) -> Found:
    """What differs, as of one instant of the live database, which is the instant of its use as well."""
    where = condition(order.where) if order.where else EVERYTHING
    wanted = Wanted(order.table, where, manifest.at, order.overwrite)
    with then.connect(manifest.database, autocommit=True) as before, live.transaction():
        live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = Comparison(live, before, wanted).found()
        use(before, found)
    return found


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.deployment.run_folder(self.facts["run"])

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        number = sum(sum(some.values()) for some in self.facts["seen"]["writes"].values())
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"put {number} rows back as they are in {self.facts['backup']}",
            steps=(
                self._preflight().recorded(),
                self._preflight().safe(CHANGES),
                self._laid_beside(),
                self._repaired(),
            ),
            notes=tuple(self._notes()),
            typed=("where",),
        )

    def _notes(self) -> Iterator[str]:
        for table, counts in self.facts["seen"]["writes"].items():
            yield f"{table}: {_told(counts)}"
        for table, number in self.facts["seen"]["left"].items():
            yield f"{table}: {number} rows that are new or were changed since the backup are left as they are"
        if any(Verdict.BRING_BACK in counts for counts in self.facts["seen"]["writes"].values()):
            yield "a row that a user has deleted since the backup comes back too: --where narrows what is put back"
        for table in self.facts["seen"]["undated"]:
            if Verdict.REPAIR in self.facts["seen"]["writes"][table]:
                yield f"{table} does not say when a row was changed: users' changes since the backup go with the damage"
        uploads = self.deployment.settings.backup.uploads.table
        if any(uploads in (table, table.partition(".")[2]) for table in self.facts["seen"]["writes"]):
            yield "uploaded files do not come back with their rows: `rollback backup uploads-check` afterwards"
        yield f"the rows as they were stay in the schema {Repair.named(self.facts['run'])} of the database"

    def _preflight(self) -> Preflight:
        return Preflight(self.deployment, self.folder)

    def _laid_beside(self) -> Step:
        return Step(
            "rows of the backup laid beside",
            f"listed row by row with its decision in {LISTED} of the run; what users change until then is left",
            lambda: self._reading(STAGED, REPAIRED),
            self._lay_beside,
            self._drop,
            gate=True,
        )

    def _repaired(self) -> Step:
        tables = ", ".join(self.facts["seen"]["writes"])
        return Step(
            "rows repaired",
            f"{tables}: in one transaction that commits only if nothing else has changed",
            lambda: self._reading(REPAIRED),
            self._repair,
            self._undo,
            gate=True,
        )

    def _reading(self, *states: str) -> Reading:
        with server.session_of(self.deployment) as session:
            one = Repair(session, self.facts["run"])
            state, counts = one.state(), one.counts()
        rows = "; ".join(f"{table}: {some[0]} repaired, {some[1]} brought back" for table, some in counts.items())
        if not state:
            return Reading(holds=False, seen="nothing is laid beside")
        seen = rows if state == REPAIRED else f"laid beside, not repaired: {len(counts)} tables"
        return Reading(state in states, seen)

    def _lay_beside(self) -> None:
        order = Order(self.facts["table"], self.facts["backup"], self.facts["where"], self.facts["overwrite"])
        with believed(self.deployment, order.backup) as (then, manifest), server.session_of(self.deployment) as live:
            _compared(live, then, manifest, order, lambda before, found: self._stage(live, before, found))

    def _stage(self, live: Connection, before: Connection, found: Found) -> None:
        """Only what the plan says: what users have changed since then is left.

        Raises:
            Refused: nothing of the plan is to be done any more.
        """
        planned = found.within(self.facts["seen"]["rows"])
        planned.listed(self.folder / LISTED)
        if not planned.tables:
            raise Refused("No row differs any more as the plan says.", "repeat the command and read the new plan")
        Repair(live, self.facts["run"]).stage(before, planned)

    def _drop(self) -> None:
        with server.session_of(self.deployment) as session:
            Repair(session, self.facts["run"]).drop()

    def _repair(self) -> None:
        with server.session_of(self.deployment) as session:
            Repair(session, self.facts["run"]).act()

    def _undo(self) -> None:
        with server.session_of(self.deployment) as session:
            Repair(session, self.facts["run"]).undo()


def _told(counts: dict[str, int]) -> str:
    words = {Verdict.REPAIR: "get the values of the backup", Verdict.BRING_BACK: "come back"}
    return ", ".join(f"{counts[one]} rows {told}" for one, told in words.items() if one in counts)
