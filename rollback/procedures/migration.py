"""Migration rollback: the newest migrations taken back one by one, each with proof (RUNBOOK, Individual Migration).

Each is one transaction that commits only if exactly what the migration made is gone and no other value has changed;
what is lost by it goes to an attic and comes back with `rollback abort` or `rollback migration forward`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rollback import lock
from rollback.containment.revocation import again
from rollback.database import attic, checkout, compatibility, holders, server
from rollback.database.expectation import Made, Migration, made_by
from rollback.database.fingerprint import Difference
from rollback.database.locks import ADVISORY, alone
from rollback.database.scratch import scratch
from rollback.database.script import runnable, undoable
from rollback.database.takeback import TakeBack
from rollback.documents.preflight import CHANGES, Preflight
from rollback.outcome import NothingToDo, Refused
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection
    from rollback.deployment import Deployment

__all__ = ["FORWARD", "NAME", "plan", "plan_forward", "survey", "survey_forward"]

NAME = "migration"
FORWARD = "migration forward"


def survey(
    deployment: Deployment, versions: list[str], steps: int, run: str, *, outage: bool = False
) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Args:
        deployment: the live system.
        versions: named, newest first.
        steps: how many, where none is named.
        run: id of the run.
        outage: go on although what runs cannot work with the schema that will be there.

    Raises:
        Refused: see `checkout.applied` and `checkout.to_take_back`; a script, or a migration, does what no proof can
            see or undo; the migrations of the checkout do not apply in a scratch database; what runs would not work.
        NothingToDo: none of those named is applied.
    """
    there = checkout.applied(deployment)
    known, done = {one.version for one in checkout.migrations(deployment)}, {one.version for one in there}
    if versions and known.issuperset(versions) and done.isdisjoint(versions):
        raise NothingToDo(f"Not applied: {', '.join(versions)}.")
    chosen = checkout.to_take_back(there, versions, steps)
    scripts = {one.version: _script(one) for one in chosen}
    made = _expected(deployment, there, chosen)
    held = _held(deployment, made)
    for one in chosen:
        _provable(one, made[one.version])
    head = there[-len(chosen) - 1].version if len(there) > len(chosen) else ""
    fit = compatibility.fit(deployment, head)
    if fit.dependent and not outage:
        raise Refused(
            f"{fit.dependent}.",
            "`rollback application` to a release that works with it first; where there is none, --outage takes the"
            " migration back all the same, and users see errors until the application follows",
        )
    return {
        "run": run,
        "migrations": [
            {"version": one.version, "name": one.name, "up": one.up, "down": scripts[one.version]} for one in chosen
        ],
        "made": _as_json(made),
        **asdict(fit),
        "seen": {"held": held},
    }


def _provable(one: Migration, made: Made) -> None:
    """Say that what the migration did can be seen to be undone.

    Raises:
        Refused: it changed rows, did something out of sight, or nothing that could be seen.
    """
    wrong = [] if one.path is None else undoable(one.path, made.tables(), made.columns())
    names = [each.name for each in made.differences if '"' in each.name]
    wrong += [f"{names[0]}: names that need quotes cannot be followed here"] if names else []
    wrong += ["it made no object: there is nothing to prove"] if not made.differences else []
    wrong += [f"{table} is partitioned" for table in made.partitioned()]
    if wrong:
        raise Refused(
            f"No script can be proven to take {one.name} back: {'; '.join(wrong)}.",
            "restore the database from before it, or write a new migration that mends what it did",
        )


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


def _held(deployment: Deployment, made: dict[str, Made]) -> list[str]:
    """Who is in the way now, for the plan; whether they still are is for the locks to say."""
    tables = {table for one in made.values() for table in (*one.touched(), *one.tables())}
    with server.session_of(deployment) as session:
        return [str(one) for one in holders.of_tables(session, tables)]


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
    with server.session_of(deployment) as session:
        if attic.kept(session, version) is None:
            raise Refused(f"Nothing is kept of migration {version}.", "apply it by deploying its release")
    made = _expected(deployment, [*there, *following], following)
    one = following[0]
    text = {"version": version, "name": one.name, "up": one.up, "down": ""}
    return {"run": run, "migrations": [text], "made": _as_json(made), "dependent": "", "unheard": ""}


def plan_forward(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey_forward` found."""
    return _Procedure(deployment, facts).plan_forward()


def _as_json(made: dict[str, Made]) -> dict[str, Any]:
    return {name: [one.__dict__ for one in some.differences] for name, some in made.items()}


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    def migrations(self) -> list[Migration]:
        """As they were when the run was planned: what the checkout holds may be another release's by now."""
        return [Migration(**one) for one in self.facts["migrations"]]

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        chosen = self.migrations()
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"take back {', '.join(one.name for one in chosen)}",
            steps=(
                self._preflight().recorded(),
                self._preflight().safe(CHANGES),
                *(self._taken_back(one) for one in chosen),
            ),
            notes=tuple(self._notes(chosen)),
        )

    def plan_forward(self) -> Plan:
        """One migration applied again."""
        one = self.migrations()[0]
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
            steps=(self._preflight().recorded(), self._preflight().safe(CHANGES), applied),
        )

    def _notes(self, chosen: list[Migration]) -> Iterator[str]:
        for one in chosen:
            made = self._made(one)
            for table in made.tables():
                yield f"{one.name}: the rows of {table} go to the attic"
            for table, columns in made.columns().items():
                yield f"{one.name}: the values of {table} ({', '.join(columns)}) go to the attic"
        for holder in self.facts.get("seen", {}).get("held", ()):
            yield f"{holder}: it has to end before tables can be locked"
        yield "a release that brought one of these applies it again at its next start: take the application back too"
        yield from compatibility.notes(self.facts)

    def _preflight(self) -> Preflight:
        return Preflight(self.deployment, self.deployment.run_folder(self.facts["run"]))

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
        holds, seen = (one.version in there) is applied, f"the database is at {there[-1] if there else 'none'}"
        if applied or not holds:
            return Reading(holds, seen)
        # read from the attics and not remembered: the command may have been killed just after the commit
        with server.session_of(self.deployment) as session:
            kept = self._work(session).kept()
        rows = ", ".join(f"{number} rows of {table}" for table, number in kept.items() if number)
        return Reading(holds, f"{seen}; kept: {rows or 'no row, none was lost'}", {"rows_kept": sum(kept.values())})

    def _act(self, one: Migration) -> None:
        with self._taking_back() as work:
            if self._reading(one).holds:
                raise Refused(f"Somebody else has taken {one.name} back meanwhile.", "look at what they are about")
            work.back(one, self._made(one))

    def _undo(self, one: Migration) -> None:
        """Only what this run has committed has to come back: a transaction that was cut off has left nothing."""
        with server.session_of(self.deployment) as session:
            committed = self._work(session).has_taken_back(one)
        if committed:
            self._forward(one)

    def _forward(self, one: Migration) -> None:
        with self._taking_back() as work:
            work.forward(one, self._made(one))

    @contextmanager
    def _taking_back(self) -> Iterator[TakeBack]:
        with server.session_of(self.deployment) as session:
            session.execute("SELECT set_config('application_name', %s, false)", (f"rollback migration, {lock.who()}",))
            key = self.deployment.settings.migrations.lock_key
            for one in (ADVISORY, *([key] if key is not None else [])):
                alone(session, one)
            yield self._work(session)

    def _work(self, session: Connection) -> TakeBack:
        table = self.deployment.settings.database
        history = table.history if "." in table.history else f"public.{table.history}"
        # what is in an attic was kept before it could be revoked
        return TakeBack(session, history, self.facts["run"], returned=lambda one: again(self.deployment, one))
