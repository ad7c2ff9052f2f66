"""Full restoration: the database as a backup has it, beside the live one until it takes over (RUNBOOK, Restoration).

Until the swap users read and write as before. Then writes stop, what will not be there is listed row by row and told,
and the restored database takes the name. The database of before is kept: `rollback abort` goes back to it while the
run is open, and `rollback database drop` gives its room back afterwards.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import progress
from rollback.containment.revocation import again
from rollback.database import compatibility, server
from rollback.database.backup.desk import Desk
from rollback.database.beside import Beside, Overtaken, kept_name
from rollback.database.late import figures, late_writes
from rollback.documents.preflight import Preflight
from rollback.documents.verification import verify
from rollback.engine import wait_for
from rollback.outcome import Failed
from rollback.parts import files
from rollback.plan import Plan, Reading, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["NAME", "exchanged", "plan"]

NAME = "database"
#: Lines of the checklist that say whether the applications work with the restored database.
WORK = frozenset({"services", "database", "indexes", "constraints", "api", "frontend"})
SAFE = "Pre-Rollback Checklist; a database too damaged to be dumped is kept under another name all the same"
_TRIES = 3
_SUMMARY, _ROWS = "late.json", "late.jsonl"


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what the survey found."""
    return _Procedure(deployment, facts).plan()


def exchanged(deployment: Deployment, facts: dict[str, Any]) -> tuple[Step, ...]:
    """The steps by which the database of a backup takes over, for a procedure that does more."""
    return _Procedure(deployment, facts).exchange()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"put the database back as {self.facts['backup']} has it, taken {self.facts['taken']}",
            steps=(
                self._preflight().recorded(),
                *((self._reading_only(),) if self.facts.get("read_only") else ()),
                self._restored(),
                self._preflight().safe(SAFE, advisory=True),
                self._listed(),
                self._swapped(),
                self._at_work(),
            ),
            notes=tuple(self._notes()),
        )

    def exchange(self) -> tuple[Step, ...]:
        """Restored beside, what is lost listed, swapped."""
        return self._restored(), self._listed(), self._swapped()

    def _notes(self) -> Iterator[str]:
        yield from self.facts["seen"]
        yield (
            "what is written until the swap will not be there: writes stop before it, each such row is listed in"
            f" {self._folder / _ROWS} and the counts are told"
        )
        old = kept_name(self.deployment.settings.database.name, self.facts["run"])
        yield f"the database of now is kept as {old}; `rollback database drop` gives its room back"
        yield "uploaded files are not touched: `rollback backup uploads-check` tells which rows have none afterwards"
        if self.facts["seconds"] is None:
            yield "this backup was never restored: whether it can be is seen beside the live database, before it serves"
        else:
            yield f"its last verification, a restore with all comparisons, took {self.facts['seconds']:.0f} s"
        yield from compatibility.notes(self.facts)

    @property
    def _folder(self) -> Path:
        return self.deployment.run_folder(self.facts["run"])

    def _preflight(self) -> Preflight:
        return Preflight(self.deployment, self._folder)

    @contextmanager
    def _beside(self) -> Iterator[Beside]:
        table = self.deployment.settings.database
        with server.of_deployment(self.deployment) as live:
            yield Beside(live, table.name, self.facts["run"], table.history)

    # steps

    def _reading_only(self) -> Step:
        return Step(
            "writes stopped from the beginning",
            "as asked for: nothing that comes later is lost, and users read meanwhile",
            self._is_read_only,
            self._stop_writes,
            self._write_again,
            gate=True,
        )

    def _is_read_only(self) -> Reading:
        with self._beside() as one:
            holds = one.swapped() or not one.writable()
        return Reading(holds, "the live database is only read" if holds else "users write")

    def _stop_writes(self) -> None:
        with self._beside() as one:
            one.stop_writes()

    def _write_again(self) -> None:
        with self._beside() as one:
            if not one.swapped():
                one.allow_writes()

    def _restored(self) -> Step:
        return Step(
            f"restored beside the live database and equal to its manifest: {self.facts['backup']}",
            "it proves itself before anything stops; users go on meanwhile",
            self._is_restored,
            self._restore,
            self._drop,
            gate=True,
        )

    def _is_restored(self) -> Reading:
        with self._beside() as one:
            return Reading(*one.restored())

    def _restore(self) -> None:
        opened = Desk.of(self.deployment).opened(self.facts["backup"])
        with (
            opened as (manifest, folder),
            self._beside() as one,
            progress.watched(one.so_far(self.facts["seconds"])),
        ):
            # what was revoked after a breach stays revoked, however old the backup is
            one.restore(manifest, folder, lambda session: again(self.deployment, session, manifest.at))

    def _drop(self) -> None:
        with self._beside() as one:
            one.drop()

    def _listed(self) -> Step:
        return Step(
            "writes stopped, and what will not be there listed",
            "the operator is told before the swap what it loses; users read on",
            self._are_listed,
            self._list,
            self._let_write,
            gate=True,
        )

    def _are_listed(self) -> Reading:
        with self._beside() as one:
            if one.swapped():
                return Reading(holds=True, seen="told before the swap")
            told = self._told()
            holds = told is not None and told["written"] == one.written()
        if told is None:
            return Reading(holds=False, seen="not listed")
        return Reading(holds, "; ".join(told["late"]) or "nothing", told.get("figures", {}))

    def _told(self) -> dict[str, Any] | None:
        path = self._folder / _SUMMARY
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return found

    def _list(self) -> None:
        with self._beside() as one:
            one.stop_writes()
            self._compare(one)

    def _compare(self, one: Beside) -> None:
        one.reopen()
        written = one.written()
        # a part of a containment that is typed alone comes here first
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one.server.connect(one.live) as live, one.server.connect(one.name) as restored:
            late = late_writes(live, restored, self._folder / _ROWS)
        summary = {"written": written, "late": [str(one) for one in late], "figures": figures(late)}
        files.write(self._folder / _SUMMARY, json.dumps(summary, ensure_ascii=False) + "\n", mode=0o600)

    def _let_write(self) -> None:
        if not self.facts.get("read_only"):
            self._write_again()
        (self._folder / _SUMMARY).unlink(missing_ok=True)

    def _swapped(self) -> Step:
        return Step(
            f"users served by the database of {self.facts['backup']}",
            "two renames in one transaction: at no instant is there no database of that name",
            self._is_serving,
            self._swap,
            self._swap_back,
            moves_users=True,
        )

    def _is_serving(self) -> Reading:
        with self._beside() as one:
            serving, seen = one.serving(), f"the database of before is {one.old}" if one.swapped() else "not swapped"
        # whoever wrote in between has had the list made anew, after the step that made it was done
        return Reading(serving, seen, (self._told() or {}).get("figures", {}) if serving else {})

    def _swap(self) -> None:
        with self._beside() as one:
            if one.swapped():
                one.open()
                return
            for _ in range(_TRIES):
                told = self._told()
                try:
                    one.swap(unwritten_since=told["written"] if told else -1)
                except Overtaken:
                    self._compare(one)
                else:
                    return
        raise Failed("Somebody writes although writes are stopped.", "find out who (pg_stat_activity), then go on")

    def _swap_back(self) -> None:
        with self._beside() as one:
            one.swap_back()

    def _at_work(self) -> Step:
        seconds = self.deployment.settings.timing.healthy
        return Step(
            "applications at work with it",
            "their pools connect again by themselves",
            self._works,
            lambda: self._await_work(seconds),
        )

    def _await_work(self, seconds: float) -> None:
        wait_for(self._works, seconds=seconds, what="the applications")

    def _works(self) -> Reading:
        there = self.deployment.migrations()
        head = there[-1] if there else ""
        if head != self.facts["head"]:
            return Reading(holds=False, seen=f"the database is at migration {head or 'none'}")
        if self.facts["dependent"]:  # as the plan said
            return Reading(holds=True, seen=f"at migration {head or 'none'}; the application has to follow")
        bad = [one for one in verify(self.deployment, None) if one.check in WORK and not one.ok]
        told = "; ".join(f"{one.check}: {one.seen}" for one in bad)
        return Reading(not bad, told or f"healthy at migration {head or 'none'}")
