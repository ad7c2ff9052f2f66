"""Schema rollback: the schema as a backup or a release has it, the rows kept (RUNBOOK, Rollback Database Schema Only).

The statements are found and rehearsed on copies without rows in a scratch PostgreSQL. On the live database they are one
transaction that commits only if the schema's fingerprint is the recorded one and no value of both sides has changed.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from rollback.containment.believed import believed
from rollback.database import attic, compatibility, server
from rollback.database.expectation import with_roles
from rollback.database.locks import ADVISORY, alone
from rollback.database.schema import recorded
from rollback.database.schema.change import Change
from rollback.database.schema.live import Live, Order
from rollback.database.schema.rehearsal import cleared, found_by, schema_of
from rollback.database.schema.retyped import Retyped
from rollback.database.schema.target import ELSE, RECORDED, opened, scratched
from rollback.database.schema.values import Values, count, newer
from rollback.documents.preflight import CHANGES, Preflight
from rollback.outcome import NothingToDo, Refused
from rollback.parts import files
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.compatibility import Fit
    from rollback.database.schema.recorded import Recorded
    from rollback.database.server import Connection, Server
    from rollback.deployment import Deployment

__all__ = ["NAME", "plan", "survey"]

NAME = "schema"
#: In the folder of the run: the schema as it was.
BEFORE = "schema-before.json"


def survey(deployment: Deployment, target: str, run: str, *, outage: bool = False) -> dict[str, Any]:
    """Find the statements and walk them on a copy; nothing is changed.

    Args:
        deployment: the live system.
        target: id of a backup, `latest`, a recorded release, or `last-good`.
        run: id of the run.
        outage: go on although what runs cannot work with the schema that will be there.

    Raises:
        Refused: the target is unknown or not to be believed, the way back cannot be found, a value does not fit or is
            missing, or what runs would not work.
        NothingToDo: schema and history are as recorded.
    """
    with ExitStack() as stack:
        live = stack.enter_context(server.of_deployment(deployment))
        table = deployment.settings.database
        now = recorded.taken(live, table.name, table.history)
        found = stack.enter_context(opened(deployment, target, now, live))
        session = stack.enter_context(live.connect(table.name, autocommit=True))
        same = now.digest == found.digest and now.history.keys() == found.history.keys()
        if same and not cleared(session):
            raise NothingToDo(f"The schema is that of {found.known}, and so is the history of migrations.")
        with found.server.connect("postgres", autocommit=True) as admin:
            with_roles(admin, now.roles)
        change = found_by(found.server, now.dump, schema_of(session), found.database).after(cleared(session))
        then = stack.enter_context(found.server.connect(found.database, autocommit=True)) if found.has_rows else None
        seen = _seen(session, then, change)
    head = max(found.history, default="")
    return {
        "run": run,
        "target": found.known,
        "backup": found.known if found.has_rows else "",
        "before": now.digest,
        "after": found.digest,
        "history": found.history,
        "gone": sorted(now.history.keys() - found.history.keys()),
        "change": asdict(change),
        **asdict(_fit(deployment, head, outage=outage)),
        # users work while the question is open: it may be more by then
        "seen": seen,
    }


def _fit(deployment: Deployment, head: str, *, outage: bool) -> Fit:
    """Whether what runs can work with the target's migrations.

    Raises:
        Refused: it cannot, and nobody has said that an outage is to be taken.
    """
    told = compatibility.fit(deployment, head)
    if told.dependent and not outage:
        raise Refused(
            f"{told.dependent}.",
            "`rollback application` to a release that works with it first; where there is none, --outage brings the"
            " schema back all the same, and users see errors until the application follows",
        )
    return told


def _seen(live: Connection, then: Connection | None, change: Change) -> dict[str, Any]:
    """What the change does to rows that are there now.

    Raises:
        Refused: a value does not fit, has no row to come back to, or is missing.
    """
    for table, names in change.new_columns.items():
        if then is not None and not change.keys[table]:
            raise Refused(f"{table} has no primary key: {', '.join(names)} cannot be told to its rows.", ELSE)
    bare = {table: newer(live, then, table, change.keys[table]) for table in change.new_columns}
    for table, names in change.undefaulted.items():
        if bare[table]:
            raise Refused(
                f"{bare[table]} rows of {table} would have no value in {', '.join(names)}, which must have one.",
                ELSE if then is not None else "name a backup: it brings the values back with the column",
            )
    try:
        shortened = Retyped(live, "", change.retyped).counted()
    except psycopg.DataError as error:
        raise Refused(f"A value does not fit into the type of before ({type(error).__name__}).", ELSE) from error
    return {
        "lost": {table: count(live, table) for table in change.lost_tables},
        "newer": bare,
        "shortened": {f"{table} ({column})": number for (table, column, *_), number in shortened.items() if number},
    }


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    @property
    def change(self) -> Change:
        """As it was found."""
        return Change.of(self.facts["change"])

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.deployment.run_folder(self.facts["run"])

    @property
    def history(self) -> str:
        """The table of migrations, qualified."""
        name = self.deployment.settings.database.history
        return name if "." in name else f"public.{name}"

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        preflight = Preflight(self.deployment, self.folder)
        beside = [self._laid_beside()] if self._comes_back() else []
        statements = (*self.change.first, *self.change.last)
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"make the schema that of {self.facts['target']} by {len(statements)} statements, rows kept",
            steps=(preflight.recorded(), preflight.safe(CHANGES), self._written_down(), *beside, self._brought_back()),
            notes=tuple(self._notes()),
            statements=statements,
        )

    def _comes_back(self) -> bool:
        return bool(self.facts["backup"] and (self.change.new_tables or self.change.new_columns))

    def _notes(self) -> Iterator[str]:
        change, seen = self.change, self.facts["seen"]
        for table, number in seen["lost"].items():
            yield f"{table} goes: its {number} rows are kept in the attic"
        for table, names in change.lost_columns.items():
            yield f"{table} loses {', '.join(names)}: the values are kept in the attic"
        for what, number in seen["shortened"].items():
            yield f"{what}: {number} values do not fit into the type of before and are cut; the attic keeps them whole"
        yield from self._returns()
        for version in self.facts["gone"]:
            yield f"migration {version} goes from the history: a release that brings it applies it again at its start"
        yield from compatibility.notes(self.facts)
        yield f"the attic is the schema {self._attic()} of the database"

    def _returns(self) -> Iterator[str]:
        for table in self.change.new_tables:
            yield f"{table} comes back {self._filled('with the rows of the backup', 'empty')}"
        for table, names in self.change.new_columns.items():
            told = self._filled("with the values of the backup", "with defaults")
            yield f"{table} gets {', '.join(names)} back {told}"
            if self.facts["backup"] and self.facts["seen"]["newer"][table]:
                yield f"{table}: {self.facts['seen']['newer'][table]} rows are newer than the backup and get defaults"
        if self.facts["backup"] and self.change.new_tables:
            yield "rows that refer to what users have deleted since stay out where the reference says CASCADE"

    def _filled(self, backup: str, release: str) -> str:
        return backup if self.facts["backup"] else f"{release}: a release keeps no rows, a backup would"

    def _attic(self) -> str:
        return f"{attic.PREFIX}schema_{self.facts['run']}"

    def _source(self) -> str:
        return f"{attic.PREFIX}values_{self.facts['run']}" if self._comes_back() else ""

    # the steps

    def _written_down(self) -> Step:
        return Step(
            "schema before written down",
            f"{BEFORE} of the run: an abort brings it back",
            lambda: Reading((self.folder / BEFORE).is_file(), f"{BEFORE} in {self.folder.name}"),
            self._write_down,
            gate=True,
        )

    def _write_down(self) -> None:
        table = self.deployment.settings.database
        with server.of_deployment(self.deployment) as live:
            found = recorded.taken(live, table.name, table.history)
        if found.digest != self.facts["before"]:
            raise Refused("The schema is not that of the plan any more.", "repeat the command and read the new plan")
        files.write(self.folder / BEFORE, found.as_text(), mode=0o600)

    def _laid_beside(self) -> Step:
        names = ", ".join([*self.change.new_tables, *self.change.new_columns])
        return Step(
            "values of the backup laid beside",
            f"{names}: nothing is locked meanwhile",
            self._beside,
            self._lay_beside,
            self._drop_beside,
            gate=True,
        )

    def _beside(self) -> Reading:
        with self._live() as live:
            there = Values(live.session, self._source()).there()
            done = live.kept() is not None
        return Reading(done or bool(there), ", ".join(there) or ("they are in place" if done else "nothing"))

    def _lay_beside(self) -> None:
        change = self.change
        with (
            believed(self.deployment, self.facts["backup"]) as (one, manifest),
            self._live() as live,
            one.connect(manifest.database, autocommit=True) as then,
        ):
            Values(live.session, self._source()).lay(then, change.new_tables, change.new_columns)

    def _drop_beside(self) -> None:
        with self._live() as live:
            Values(live.session, self._source()).drop()

    def _brought_back(self) -> Step:
        return Step(
            f"schema as in {self.facts['target']}",
            "one transaction that commits only if the fingerprint is the recorded one and every value is as it was",
            self._reading,
            self._act,
            self._undo,
            gate=True,
        )

    def _reading(self) -> Reading:
        with self._live() as live:
            now = schema_of(live.session).digest
            there = dict(recorded.history_rows(live.session, self.history))
            unfinished, kept = cleared(live.session), live.kept()
        good = not unfinished and now == self.facts["after"] and there.keys() == self.facts["history"].keys()
        seen = f"fingerprint {now[:12]}, migration {max(there, default='none')}"
        # what is noted with the attic was committed with it: a command that was killed just after it can tell it still
        return Reading(good, seen, {} if kept is None else {"rows_kept": sum(kept.get("rows", {}).values())})

    def _act(self) -> None:
        facts = self.facts
        with self._live() as live:
            self._nobody_else(live)
            live.act(Order(self.change, facts["before"], facts["after"], facts["history"], self._source()))

    def _undo(self) -> None:
        """Only what was committed has to come back; a transaction that was cut off has left nothing."""
        with self._live() as live:
            if live.kept() is None:
                return
        before = recorded.read(self.folder / BEFORE)
        with (
            server.of_deployment(self.deployment) as one,
            scratched(self.deployment, one, before) as (there, copy),
            self._live() as live,
        ):
            self._back(live, one, there, copy, before)

    def _back(self, live: Live, one: Server, there: Server, copy: Connection, before: Recorded) -> None:
        table = self.deployment.settings.database
        now = recorded.taken(one, table.name, table.history)
        with there.connect("postgres", autocommit=True) as admin:
            with_roles(admin, now.roles)
        self._nobody_else(live)
        change = found_by(there, now.dump, schema_of(live.session), RECORDED)
        live.undo(Order(change, now.digest, schema_of(copy).digest, before.history, live.attic))

    def _nobody_else(self, live: Live) -> None:
        """Nobody migrates meanwhile, neither another operator nor the application at its start.

        Raises:
            Refused: somebody does.
        """
        key = self.deployment.settings.migrations.lock_key
        for one in (ADVISORY, *([key] if key is not None else [])):
            alone(live.session, one)

    @contextmanager
    def _live(self) -> Iterator[Live]:
        table = self.deployment.settings.database
        with server.of_deployment(self.deployment) as one, one.connect(table.name, autocommit=True) as session:
            yield Live(session, self.history, str(self.facts["run"]))
