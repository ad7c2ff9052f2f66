"""`rollback migration check`: each migration of a folder goes up, down and up again on a scratch PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pglast import ast

from rollback.database import fingerprint
from rollback.database.migrations import rows
from rollback.database.migrations.execution import Failure, Ran, run
from rollback.database.migrations.find import shown
from rollback.database.migrations.gate import findings
from rollback.database.migrations.made import label
from rollback.database.migrations.script import read, walk
from rollback.database.migrations.verdict import Checked, Report, Rows
from rollback.outcome import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rollback.database.migrations.bench import Bench, State
    from rollback.database.migrations.find import Found, Migration
    from rollback.database.migrations.script import Script
    from rollback.database.server import Connection

__all__ = ["Checker"]

_HISTORY = "CREATE TABLE {} (version text PRIMARY KEY, name text, checksum text, applied_at timestamptz DEFAULT now())"


@dataclass
class Checker:
    """One run over a folder. It stops at no failure: what fails is reported, and the next is judged without it.

    Attributes:
        bench: the databases.
        found: the migrations.
        root: the folder, for what is included.
        schema: an initial schema, as SQL.
        data: rows, as SQL; each file is loaded as soon as the tables for it are there. Without any, rows are made.
    """

    bench: Bench
    found: Found
    root: Path
    schema: Path | None = None
    data: Sequence[Path] = ()
    report: Report = field(default_factory=Report)
    _missing: list[str] = field(default_factory=list)
    _waiting: list[Script] = field(default_factory=list)

    def run(self, told: Callable[[Checked], None] = lambda _: None) -> Report:
        """Check all of them; `told` hears of each as soon as it is judged.

        Raises:
            UsageError: the initial schema cannot be loaded.
        """
        self.report.strangers = list(self.found.strangers)
        self._waiting = [read(path, path.parent) for path in self.data]
        scripts = [(one, read(one.path, self.root), self._rollback(one)) for one in self.found.migrations]
        with self.bench.before() as connection:
            self._prepare(connection, [script for _, *both in scripts for script in both if script])
            self._rows(connection)
        for migration, up, down in scripts:
            told(self._check(migration, up, down))
        return self.report

    def _rollback(self, one: Migration) -> Script | None:
        return None if one.rollback is None else read(one.rollback, one.rollback.parent)

    def _prepare(self, connection: Connection, scripts: list[Script]) -> None:
        """The initial schema, and the history that a runner of migrations would have made."""
        if self.schema:
            failure = run(connection, read(self.schema, self.schema.parent)).failure
            if failure:
                raise UsageError(
                    f"The schema {shown(self.schema)} cannot be loaded: {failure}.", "mend it, or dump anew"
                )
            connection.execute("DISCARD ALL")
        name = self.bench.history.removeprefix("public.")
        nodes = [node for script in scripts for one in script.statements for node in walk(one.node)]
        named = any(isinstance(node, ast.RangeVar) and label(node) == name for node in nodes)
        made = any(isinstance(node, ast.CreateStmt) and label(node) == name for node in nodes)
        there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (self.bench.history,)).fetchone()
        if named and not made and there == (False,):
            connection.execute(_HISTORY.format(self.bench.history).encode())

    def _rows(self, connection: Connection) -> None:
        if not self.data:
            self.report.unfilled = rows.fill(connection, [self.bench.history])
        for one in list(self._waiting):
            connection.execute("DISCARD ALL")
            failure = run(connection, one).failure
            self.report.unloaded[shown(one.path)] = str(failure or "")
            if not failure:
                self._waiting.remove(one)
                del self.report.unloaded[shown(one.path)]

    def _check(self, migration: Migration, up: Script, down: Script | None) -> Checked:
        checked = Checked(migration, rollback_found=down is not None, notes=list(migration.notes))
        self.report.checked.append(checked)
        self._judge_text(checked, up, down)
        if self._missing:
            checked.notes.append(f"judged without {', '.join(self._missing)}, which did not apply")
        self.bench.start()
        before = self.bench.state()
        if not self._up(checked, up, before):
            self._missing.append(migration.id)
            self.bench.forget(before.schema)
            return checked
        first = self.bench.state()
        if down is not None and self._down(checked, down, before):
            self._again(checked, up, before, first)
        self._go_on(checked, up, before)
        return checked

    def _judge_text(self, checked: Checked, up: Script, down: Script | None) -> None:
        checked.findings["migration"] = findings(up)
        checked.notes += [f"migration, {one}" for one in up.complaints]
        if down is not None:
            checked.findings["rollback"] = findings(down, up)
            checked.notes += [f"rollback, {one}" for one in down.complaints]

    def _run(self, checked: Checked, script: Script, phase: str) -> Ran:
        started = time.monotonic()
        ran = run(self.bench.session(), script)
        checked.seconds[phase] = round(time.monotonic() - started, 3)
        if ran.failure:
            checked.failures[phase] = ran.failure
        if not ran.whole and phase != "up again":
            checked.notes.append(f"{phase} runs statement by statement, not in one transaction: a failure leaves half")
        return ran

    def _up(self, checked: Checked, up: Script, before: State) -> bool:
        ran = self._run(checked, up, "up")
        checked.applies = ran.failure is None
        self._look_at_indexes(checked, "up")
        if ran.failure and not ran.whole:
            left = fingerprint.difference(before.schema, self.bench.state().schema)
            checked.notes += [f"the failed migration left behind: {one}" for one in left]
        return checked.applies

    def _look_at_indexes(self, checked: Checked, phase: str) -> None:
        found = self.bench.session().execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        checked.notes += [f"after {phase} the index {name} is invalid: it costs and serves nobody" for (name,) in found]

    def _down(self, checked: Checked, down: Script, before: State) -> bool:
        """Take it back and compare; whether it ran."""
        ran = self._run(checked, down, "rollback")
        checked.rollback_runs = ran.failure is None
        if ran.failure and ran.whole:
            return False
        after = self.bench.state()
        checked.schema = fingerprint.difference(before.schema, after.schema)
        checked.schema_back = not checked.schema
        self._compare_rows(checked, before, after)
        moved = [name for name, order in before.order.items() if sorted(after.order.get(name, [])) == sorted(order)
                 and after.order[name] != order]  # fmt: skip
        checked.notes += [f"the columns of {name} are back in another physical order" for name in moved]
        self._look_at_indexes(checked, "rollback")
        return checked.rollback_runs

    def _compare_rows(self, checked: Checked, before: State, after: State) -> None:
        """Count and hash of each table over the columns on both sides."""
        shared = {name: set(columns) & set(after.columns[name]) for name, columns in before.columns.items()
                  if name in after.columns}  # fmt: skip
        same = all(after.columns.get(name) == columns for name, columns in before.columns.items())
        old = before.tables if same else before.tables | self.bench.tables(shared, before=True)
        new = after.tables if same else self.bench.tables(shared, before=False)
        for name, was in old.items():
            now = new.get(name)
            if now is None or (was.count, was.hash) != (now.count, now.hash):
                after_it = (now.count, now.hash) if now else (None, None)
                checked.rows.append(Rows(name, was.count, after_it[0], was.hash, after_it[1]))
        checked.compared = sum(one.count for one in old.values())
        lost = [one for one in checked.rows if one.before or one.after]
        checked.data_back = not lost

    def _again(self, checked: Checked, up: Script, before: State, first: State) -> None:
        """The second time up has to come out as the first did."""
        if self._run(checked, up, "up again").failure:
            checked.up_again = False
            return
        second = self.bench.state()
        checked.again = [str(one) for one in fingerprint.difference(first.schema, second.schema)]
        other = _other_rows(first, second)
        if other and not checked.again:
            other = self._not_volatile(checked, other, up, before, first)
        checked.again += [f"{name}: other rows than after the first time" for name in other]
        checked.up_again = not checked.again

    def _not_volatile(self, checked: Checked, other: list[str], up: Script, before: State, first: State) -> list[str]:
        """Leave out tables whose rows differ each time, even from the same start: now(), random()."""
        self.bench.forget(before.schema)
        run(self.bench.session(), up)
        control = _other_rows(first, self.bench.state())
        volatile = [name for name in other if name in control]
        checked.notes += [
            f"{name}: the migration writes other values each time (now(), random ...)" for name in volatile
        ]
        return [name for name in other if name not in control]

    def _go_on(self, checked: Checked, up: Script, before: State) -> None:
        """The next migration begins where this one ends; what a bad rollback has spoilt is made anew."""
        if checked.rollback_found and not checked.reversible:
            self.bench.forget(before.schema)
            failure: Failure | None = run(self.bench.session(), up).failure
            if failure:
                checked.notes.append(f"up once more from the same start, for those after it: {failure}")
                self._missing.append(checked.migration.id)
                return
        self._rows(self.bench.session())
        self.bench.accept()


def _other_rows(one: State, other: State) -> list[str]:
    names = sorted(one.tables.keys() | other.tables.keys())
    same = {name for name in names if _figures(one, name) == _figures(other, name)}
    return [name for name in names if name not in same]


def _figures(state: State, name: str) -> tuple[int, str] | None:
    table = state.tables.get(name)
    return (table.count, table.hash) if table else None
