"""Is what is left of a database sound? PostgreSQL itself says so, from the very files, and of damage it says so twice.

An engine that does not answer, a disk that is full and a hand that stops the container say nothing about the data.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback import commands, progress
from rollback.database import server
from rollback.database.anew import Anew
from rollback.engine import POLL_SECONDS, CommandFailed
from rollback.outcome import Failed, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server
    from rollback.recovery.ground import Ground

__all__ = ["DAMAGED", "FRESH", "SOUND", "Examination"]

SOUND, DAMAGED, FRESH = "sound", "damaged", "fresh"
#: PostgreSQL's own words for what it cannot work with.
_SAYS = re.compile(r"\b(?:FATAL|PANIC):\s+(.*)")
_ERROR = re.compile(r"\b(?:ERROR|FATAL|PANIC):")
#: Ends that say nothing about the data: in good order, or by a hand from outside.
_KILLED = (0, 137, 143)
_ASKED_TO_STOP = re.compile(r"received (?:fast|smart|immediate) shutdown request")
_FULL = "No space left on device"
_TRIES = 2
#: Crash recovery reads the log since the last checkpoint; a third of the objective is for it.
_SHARE = 3


class _Damaged(Exception):  # noqa: N818 -- a finding
    """PostgreSQL cannot work with what is there; its own words."""


@dataclass(frozen=True)
class Examination:
    """One examination of the database that a deployment has left.

    Attributes:
        backup: what the archive's backup of it says.
    """

    ground: Ground
    backup: Callable[[], Manifest]

    @property
    def _service(self) -> str:
        return self.ground.deployment.settings.database.service

    def judged(self) -> tuple[str, str]:
        """What it is, and why; it is started as it is, on its own files.

        Raises:
            Failed: that cannot be told.
        """
        for last in (*[False] * (_TRIES - 1), True):
            try:
                return self._tried()
            except _Damaged as why:
                if last:
                    return DAMAGED, str(why)
        raise AssertionError("unreachable")

    def _tried(self) -> tuple[str, str]:
        """Start it as it is, and read everything."""
        with self._started() as container:
            try:
                with self._reached(container) as one:
                    return self._read(one)
            except psycopg.Error as error:
                said = f"PostgreSQL says: {error.diag.message_primary}" if error.sqlstate else str(error).strip()
                raise self._told(container, Failed(said), own=bool(error.sqlstate)) from None
            except _Unreadable as stop:
                raise self._told(container, stop, own=True) from None
            except Stop as stop:
                raise self._told(container, stop, own=False) from None

    @property
    def _tried_in(self) -> str:
        return f"{self.ground.deployment.project}-{self._service}-examined-{self.ground.run}"

    def leave(self) -> None:
        """End what a killed examination has left running; the copy stays."""
        if self.ground.deployment.engine.run(commands.inspect("container", [self._tried_in])).code == 0:
            seconds = self.ground.deployment.settings.timing.stop
            self.ground.deployment.engine.ask(commands.stop([self._tried_in], seconds=seconds), seconds=seconds + 60)
            self.ground.deployment.engine.ask(commands.remove_with_volumes([self._tried_in]))

    @contextmanager
    def _started(self) -> Iterator[str]:
        """The service as the Compose files have it, under another name, and without its published ports."""
        deployment, name = self.ground.deployment, self._tried_in
        self.leave()
        labels = {"rollback.run": self.ground.run}
        argv = deployment.compose.run_beside(self._service, name=name, labels=labels, aliases=False)
        try:
            deployment.engine.ask(argv)
            yield name
        finally:
            self.leave()

    @contextmanager
    def _reached(self, container: str) -> Iterator[Server]:
        table = self.ground.deployment.settings
        service = self.ground.model["services"][self._service]
        password = str((service.get("environment") or {}).get("POSTGRES_PASSWORD") or "")
        deadline = time.monotonic() + table.objectives.recovery / _SHARE
        with server.of_container(
            self.ground.deployment.engine, container, user=table.database.user, password=password
        ) as one:
            while True:
                try:
                    one.connect("postgres").close()
                except Failed:
                    if not self._runs(container) or time.monotonic() > deadline:
                        raise
                    time.sleep(POLL_SECONDS)
                else:
                    break
            yield one

    def _runs(self, container: str) -> bool:
        raw = json.loads(self.ground.deployment.engine.ask(commands.inspect("container", [container])))[0]
        return bool(raw["State"]["Running"]) and not raw["State"].get("Restarting", False)

    def _read(self, one: Server) -> tuple[str, str]:
        """Every row, as pg_dump reads them; a database without any row of the archive's tables is a new one."""
        name = self.ground.deployment.settings.database.name
        with one.connect("postgres") as admin:
            there = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if there is None:
            return FRESH, f"there is no database {name} in it"
        if (begun := Anew(one, name).unfinished()) is not None:
            return FRESH, f"a restore of {begun} was begun in it and never ended"
        with progress.watched(lambda: "every row of it is read"):
            done = one.run(["pg_dump", "-f", "/dev/null", "--dbname", name], seconds=24 * 3600)
        server.ended(done, "pg_dump")
        if done.code != 0:
            broken = _Unreadable if _ERROR.search(done.err) else CommandFailed
            raise broken(f"pg_dump cannot read it: {' | '.join(done.err.strip().splitlines()[:3]) or done.code}.")
        return self._aged(one, name)

    def _aged(self, one: Server, name: str) -> tuple[str, str]:
        filled = [table for table, state in self.backup().state.tables.items() if state.count]
        history = self.ground.deployment.settings.database.history.rpartition(".")[2]
        with one.connect(name) as session:
            rows = {table: _some(session, table) for table in filled if table.rpartition(".")[2] != history}
            version = [str(row[0]) for row in self._heads(session)]
        if rows and not any(rows.values()):
            return FRESH, f"none of the {len(rows)} tables that have rows in the archive has any: it is a new one"
        self._fits(version)
        return SOUND, f"it starts, and every row can be read; migration {version[-1] if version else 'none'}"

    def _heads(self, session: psycopg.Connection[Any]) -> list[Any]:
        table = sql.Identifier(*self.ground.deployment.settings.database.history.split("."))
        return session.execute(sql.SQL("SELECT version FROM {} ORDER BY version").format(table)).fetchall()

    def _fits(self, versions: list[str]) -> None:
        """What the application from the archive works with.

        Raises:
            _Undecided: it does not; that is for the operator to decide.
        """
        known, head = self.ground.archive.works_with, versions[-1] if versions else ""
        if self.ground.from_archive and known and head not in known:
            raise _Undecided(
                f"The database is sound and at migration {head or 'none'}; the application of the archive works with"
                f" {', '.join(known)}.",
                "bring the images of the newer release, or say --everything: then the database goes back as well",
            )

    def _told(self, container: str, stop: Stop, *, own: bool) -> Exception:
        """What an attempt that failed amounts to: damage only if PostgreSQL says so itself.

        Args:
            container: in which it was tried.
            stop: how it failed.
            own: whether that is PostgreSQL's own answer about what is stored.
        """
        if isinstance(stop, _Undecided):
            return stop
        log = self.ground.deployment.engine.run(commands.logs(container, tail=200))
        raw = self.ground.deployment.engine.run(commands.inspect("container", [container]))
        text = log.out + log.err
        if _FULL in text + stop.found:
            return Failed(f"The disk is full: {stop.found}", "make room, then `rollback resume`")
        if log.code == raw.code == 0 and not _ASKED_TO_STOP.search(text):
            state = json.loads(raw.out)[0]["State"]
            if own and state["Running"]:
                return _Damaged(stop.found.rstrip("."))
            if not state["Running"] and state["ExitCode"] not in _KILLED:
                said = _SAYS.findall(text) or text.strip().splitlines()[-1:] or ["nothing"]
                return _Damaged(f"PostgreSQL ends with code {state['ExitCode']} and says: {said[-1].strip()}")
        return Failed(f"Whether the database is sound cannot be told: {stop.found}", "`rollback resume` looks again")


class _Unreadable(CommandFailed):
    """pg_dump was told by PostgreSQL that something cannot be read."""


class _Undecided(Failed):
    """A sound database that the archive's application cannot work with."""


def _some(session: psycopg.Connection[Any], table: str) -> bool:
    """Whether a table is there and has a row."""
    there = session.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    if not there or not there[0]:
        return False
    name = sql.Identifier(*table.split("."))
    return session.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)).fetchone() is not None
