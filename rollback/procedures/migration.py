"""Migration rollback: the newest migrations taken back one by one, each with proof (RUNBOOK, Individual Migration).

Each is one transaction that commits only if exactly what the migration made is gone and no other value has changed;
what is lost by it goes to an attic and comes back with `rollback abort` or `rollback migration forward`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database import attic, checkout, server
from rollback.database.expectation import Made, Migration, made_by
from rollback.database.fingerprint import Difference
from rollback.database.scratch import scratch
from rollback.database.script import runnable
from rollback.database.takeback import ADVISORY, TakeBack
from rollback.documents.preflight import Preflight
from rollback.outcome import NothingToDo, Refused
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection
    from rollback.deployment import Deployment

__all__ = ["FORWARD", "NAME", "plan", "plan_forward", "survey", "survey_forward"]

NAME = "migration"
FORWARD = "migration forward"


def survey(deployment: Deployment, versions: list[str], steps: int, run: str) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Raises:
        Refused: see `checkout.applied` and `checkout.to_take_back`; a script holds a dangerous statement; the
            migrations of the checkout do not apply in a scratch database.
        NothingToDo: none of those named is applied.
    """
    there = checkout.applied(deployment)
    known, done = {one.version for one in checkout.migrations(deployment)}, {one.version for one in there}
    if versions and known.issuperset(versions) and done.isdisjoint(versions):
        raise NothingToDo(f"Not applied: {', '.join(versions)}.")
    chosen = checkout.to_take_back(there, versions, steps)
    for one in chosen:
        _script(one)
    made = _expected(deployment, there, chosen)
    return {
        "run": run,
        "versions": [one.version for one in chosen],
        "made": _as_json(made),
        "dependent": _dependent(deployment, there, chosen),
    }


def _script(one: Migration) -> str:
    """The SQL that takes it back.

    Raises:
        Refused: it holds what no proof can make good.
    """
    if one.path is None or one.script is None:
        raise Refused(f"{one.name} has no rollback script.", "write one, or restore the database")
    return runnable(one.path, one.script)


def _expected(deployment: Deployment, there: list[Migration], chosen: list[Migration]) -> dict[str, Made]:
    with server.of_deployment(deployment) as live, live.connect(deployment.settings.database.name) as session:
        roles = [str(row[0]) for row in session.execute("SELECT rolname FROM pg_roles").fetchall()]
        image, user = live.image, live.user
    with scratch(deployment.engine, image, user=user) as one:
        return made_by(one, there, {some.version for some in chosen}, roles)


def _dependent(deployment: Deployment, there: list[Migration], chosen: list[Migration]) -> str:
    """What the running backend says of the schema that will be there."""
    head = there[-len(chosen) - 1].version if len(there) > len(chosen) else ""
    for service in deployment.settings.services.values():
        stated = deployment.through_edge(service.version).stated if service.upstream else None
        if stated and head not in stated:
            return f"what runs works with migration {', '.join(stated)}, and the database will be at {head or 'none'}"
    return ""


def survey_forward(deployment: Deployment, version: str, run: str) -> dict[str, Any]:
    """Read the world for a migration that is to be applied again.

    Raises:
        Refused: it is not the next one of the checkout, or nothing is kept of it.
        NothingToDo: it is applied.
    """
    there, here = checkout.applied(deployment), checkout.migrations(deployment)
    if version in {one.version for one in there}:
        raise NothingToDo(f"Migration {version} is applied.")
    following = [one for one in here if one not in there][:1]
    if [one.version for one in following] != [version]:
        known = following[0].version if following else "none"
        raise Refused(f"Migration {version} is not the next one; the next one is {known}.", "name that")
    with _session(deployment) as session:
        if attic.kept(session, version) is None:
            raise Refused(f"Nothing is kept of migration {version}.", "apply it by deploying its release")
    made = _expected(deployment, [*there, *following], following)
    return {"run": run, "versions": [version], "made": _as_json(made), "dependent": ""}


def plan_forward(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey_forward` found."""
    return _Procedure(deployment, facts).plan_forward()


def _as_json(made: dict[str, Made]) -> dict[str, Any]:
    return {name: [one.__dict__ for one in some.differences] for name, some in made.items()}


@contextmanager
def _session(deployment: Deployment) -> Iterator[Connection]:
    with (
        server.of_deployment(deployment) as live,
        live.connect(deployment.settings.database.name, autocommit=True) as session,
    ):
        yield session


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        here = {one.version: one for one in checkout.migrations(self.deployment)}
        chosen = [here[version] for version in self.facts["versions"]]
        names = ", ".join(one.name for one in chosen)
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"take back {names}",
            steps=(self._recorded(), self._backed_up(), *(self._taken_back(one) for one in chosen)),
            notes=tuple(self._notes(chosen)),
        )

    def plan_forward(self) -> Plan:
        """One migration applied again."""
        here = {one.version: one for one in checkout.migrations(self.deployment)}
        one = here[self.facts["versions"][0]]
        applied = Step(
            f"migration {one.name} brought forward",
            "with what the attic has kept of it, in one transaction",
            lambda: self._reading(one, applied=True),
            lambda: self._forward(one),
            gate=True,
        )
        return Plan(
            procedure=FORWARD,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"apply {one.name} again",
            steps=(self._recorded(), self._backed_up(), applied),
        )

    def _notes(self, chosen: list[Migration]) -> Iterator[str]:
        for one in chosen:
            made = self._made(one)
            for table in made.tables():
                yield f"{one.name}: the rows of {table} go to the attic"
            for table, columns in made.columns().items():
                yield f"{one.name}: the values of {table} ({', '.join(columns)}) go to the attic"
        if self.facts["dependent"]:
            yield f"{self.facts['dependent']}: take the application back as well, before or right after"

    def _preflight(self) -> Preflight:
        return Preflight(self.deployment, self.deployment.state / "runs" / self.facts["run"])

    def _recorded(self) -> Step:
        one = self._preflight()
        return Step("state before recorded", "Pre-Rollback Checklist: evidence", one.reading, one.take, gate=True)

    def _backed_up(self) -> Step:
        one = self._preflight()
        return Step("safety backup taken", "this procedure changes the database", one.backed_up, one.back_up, gate=True)

    def _taken_back(self, one: Migration) -> Step:
        return Step(
            f"migration {one.name} taken back",
            f"{len(self._made(one).differences)} objects that it made or changed, proven before the commit",
            lambda: self._reading(one),
            lambda: self._act(one),
            lambda: self._undo(one),
            gate=True,
        )

    def _made(self, one: Migration) -> Made:
        return Made(tuple(Difference(**some) for some in self.facts["made"][one.version]))

    def _reading(self, one: Migration, *, applied: bool = False) -> Reading:
        there = self.deployment.migrations()
        return Reading((one.version in there) is applied, f"the database is at {there[-1] if there else 'none'}")

    def _act(self, one: Migration) -> None:
        with self._taking_back() as work:
            work.back(replace(one, down=_script(one)), self._made(one))

    def _undo(self, one: Migration) -> None:
        """Only what was committed has to come back; a transaction that was cut off has left nothing."""
        if self._reading(one).holds:
            self._forward(one)

    def _forward(self, one: Migration) -> None:
        with self._taking_back() as work:
            work.forward(one, self._made(one))

    @contextmanager
    def _taking_back(self) -> Iterator[TakeBack]:
        table = self.deployment.settings.database
        history = table.history if "." in table.history else f"public.{table.history}"
        with _session(self.deployment) as session:
            key = self.deployment.settings.migrations.lock_key
            for one in (ADVISORY, *([key] if key is not None else [])):
                _alone(session, one)
            yield TakeBack(session, history, self.facts["run"])


def _alone(session: Connection, key: int) -> None:
    """Nobody else migrates meanwhile; the lock ends with the session.

    Raises:
        Refused: somebody does.
    """
    row = session.execute(sql.SQL("SELECT pg_try_advisory_lock({})").format(sql.Literal(key))).fetchone()
    if not row or not row[0]:
        raise Refused("Somebody else migrates this database right now.", "wait for them, then repeat the command")
