"""How commands speak: lines and progress for people, one JSON document for machines."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollback import look
from rollback.outcome import Exit, UsageError
from rollback.runner import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rollback.documents.verification import Line
    from rollback.plan import Plan, Reading, Step

__all__ = ["Speaker"]

_MARKS = {
    "done": "[green]done[/]",
    "skipped": "[dim]already so[/]",
    "missed": "[yellow]without it[/]",
    "failed": "[red]failed[/]",
    "undone": "taken back",
}
_UNFOLDED = 2000
_WORDS = {"ok": "[green]ok[/]", "no": "[red]no[/]", "not tested": "[yellow]not tested[/]"}
_COLOURS = {"yes": "[green]{}[/]", "no": "[red]{}[/]", "none": "[red]{}[/]"}


@dataclass
class Speaker:
    """Everything a command says.

    With `as_json` the standard output holds one JSON document and nothing else; progress goes to standard error.
    """

    as_json: bool
    assume_yes: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def _out(self) -> Console:
        to = sys.stderr if self.as_json else sys.stdout
        # only a terminal has an edge: what goes into a file or a pipe is not folded
        width = None if to.isatty() else _UNFOLDED
        return Console(stderr=self.as_json, highlight=False, soft_wrap=True, emoji=False, width=width)

    def say(self, text: str) -> None:
        """One line for people."""
        self._out.print(escape(text))

    def document(self, end: Exit = Exit.DONE, **data: Any) -> None:
        """The document for machines: how the command ends (`outcome`, `exit`), and what it has to say."""
        if self.as_json:
            told = {"outcome": end.name.lower(), "exit": int(end), **data}
            sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    def started(self, step: Step) -> None:
        """A step begins: shown at once on a terminal, where waiting needs a reason."""
        if self._out.is_terminal:
            self._out.print(f"[dim]…[/] {escape(step.name)}", end="\r")

    def working(self, text: str) -> None:
        """Progress on a terminal, gone with the next line."""
        if self._out.is_terminal:
            self._out.print(f"[dim]…[/] {escape(text):70}", end="\r")

    def ended(self, step: Step, event: str, seconds: float, seen: str) -> None:
        """A step ended."""
        self.steps.append({"step": step.name, "event": event, "seconds": seconds, "seen": seen})
        self._out.print(f"{_MARKS[event]:>10} {seconds:6.2f} s  {escape(step.name)} [dim]{escape(seen)}[/]")

    def plan(self, plan: Plan) -> None:
        """Print a plan with what holds already; nothing is touched."""
        rows = self.tell_plan(plan)
        steps = [{"step": step.name, "cause": step.cause, "holds": now.holds, "seen": now.seen} for step, now in rows]
        sql: dict[str, Any] = {"statements": plan.statements} if plan.statements else {}
        self.document(procedure=plan.procedure, summary=plan.summary, notes=plan.notes, steps=steps, **sql)

    def tell_plan(self, plan: Plan) -> list[tuple[Step, Reading]]:
        """The plan for people alone; gives back what was read."""
        table = Table("", "step", "because", "seen now", box=None)
        with look.anew():
            rows = [(step, reading(step)) for step in plan.steps]
        for number, (step, now) in enumerate(rows, start=1):
            mark = "=" if now.holds else "+"
            table.add_row(f"{number} {mark}", escape(step.name), escape(step.cause), escape(now.seen[:200]))
        self._out.print(f"[bold]{escape(plan.procedure)}[/]: {escape(plan.summary)}")
        self._out.print(table)
        for note in plan.notes:
            self._out.print(f"[yellow]note[/] {escape(note)}")
        for one in plan.statements:
            self._out.print(escape(one), highlight=False)
        return rows

    def way_back(self, plan: Plan) -> None:
        """Print what an abort would take back, newest step first; nothing is touched."""
        self.tell_way_back(plan)
        steps = [{"step": step.name, "undo": step.undo is not None} for step in plan.steps]
        self.document(procedure=plan.procedure, summary=plan.summary, take_back=steps)

    def tell_way_back(self, plan: Plan) -> None:
        """The way back for people alone."""
        table = Table("", "step", "", box=None)
        for number, step in enumerate(plan.steps, start=1):
            table.add_row(f"{number} -", escape(step.name), "taken back" if step.undo else "nothing to take back")
        self._out.print(f"[bold]abort[/] of {escape(plan.procedure)}: {escape(plan.summary)}")
        self._out.print(table)

    def confirm(self, tell: Callable[[], object]) -> bool:
        """Show what would be done and ask, unless --yes was given; says whether a question was asked.

        Raises:
            UsageError: when nobody is there to ask, or the answer is no.
        """
        if self.assume_yes:
            return False
        tell()
        if not sys.stdin.isatty():
            raise UsageError("This changes the deployment and nobody is here to confirm.", "say --yes, or --plan")
        if input("Carry this out? [y/N] ").strip().lower() not in ("y", "yes"):
            raise UsageError("Not confirmed; nothing was changed.")
        return True

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people."""
        table = Table(*head, box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for row in rows:
            table.add_row(*(_COLOURS.get(cell, "{}").format(escape(cell)) for cell in row))
        # never folded: a terminal wraps a long line better than a table does
        wide = sum(1 + max(map(len, column)) for column in zip(head, *rows, strict=True))
        self._out.print(table, width=max(self._out.width, wide))

    def checklist(self, lines: Sequence[Line], end: Exit | None = None, **data: Any) -> None:
        """The verification table; `end`: how the command ends, where that is not said by whether every line is so."""
        table = Table("", "check", "seen", box=None)
        for line in lines:
            table.add_row(_WORDS[line.word], line.check, escape(line.seen))
        self._out.print(table)
        good = all(line.ok for line in lines)
        end = end if end is not None else Exit.DONE if good else Exit.INCONCLUSIVE
        self.document(end, ok=good, checks=[asdict(line) for line in lines], **data)
