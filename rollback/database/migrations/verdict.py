"""What was found out about each migration, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rollback.database.migrations.find import shown

if TYPE_CHECKING:
    from rollback.database.fingerprint import Difference
    from rollback.database.migrations.execution import Failure
    from rollback.database.migrations.find import Migration
    from rollback.database.migrations.gate import Finding

__all__ = ["Checked", "Report", "Rows"]


@dataclass(frozen=True)
class Rows:
    """A table whose rows are not as before, over the columns that are on both sides; None: the table is gone."""

    table: str
    before: int
    after: int | None
    hash_before: str
    hash_after: str | None

    def __str__(self) -> str:
        if self.after is None:
            return f"{self.table}: gone with {self.before} rows"
        if self.after == self.before:
            return f"{self.table}: {self.before} rows as before, but other values in them"
        return f"{self.table}: {self.after} rows, was {self.before}"


@dataclass
class Checked:
    """One migration. A question that could not be asked is None, and stands against it.

    Attributes:
        migration: which.
        applies, rollback_found, rollback_runs, schema_back, data_back, up_again: the questions.
        compared: how many rows the answer on data rests on.
        failures: what failed, by phase: "up", "rollback", "up again".
        schema: what differs from before after the rollback.
        rows: tables whose rows differ.
        again: what differs between the first and the second time up.
        findings: by "migration" and "rollback".
        notes: what a reader should know about the answers.
        seconds: how long up and rollback took.
    """

    migration: Migration
    applies: bool = False
    rollback_found: bool = False
    rollback_runs: bool | None = None
    schema_back: bool | None = None
    data_back: bool | None = None
    up_again: bool | None = None
    compared: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    schema: list[Difference] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def reversible(self) -> bool:
        """Every question was answered with yes."""
        asked = (self.rollback_runs, self.schema_back, self.data_back, self.up_again)
        return self.applies and self.rollback_found and all(one is True for one in asked)

    @property
    def dangers(self) -> int:
        """How many statements are dangerous, in both files."""
        return sum(one.severity == "danger" for all_of_it in self.findings.values() for one in all_of_it)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        answers = ("applies", "rollback_found", "rollback_runs", "schema_back", "data_back", "up_again", "reversible")
        back = self.migration.rollback
        return {
            "migration": self.migration.id,
            "file": shown(self.migration.path),
            "rollback": None if back is None else shown(back),
            **{name: getattr(self, name) for name in answers},
            "rows_compared": self.compared,
            "failures": {phase: one.as_json() for phase, one in self.failures.items()},
            "schema_differences": [asdict(one) for one in self.schema],
            "row_differences": [asdict(one) for one in self.rows],
            "up_again_differences": self.again,
            "findings": {where: [one.as_json() for one in some] for where, some in self.findings.items()},
            "notes": self.notes,
            "seconds": self.seconds,
        }


@dataclass
class Report:
    """All of a check.

    Attributes:
        checked: the migrations in order.
        strangers: files that are neither migrations nor rollbacks of one.
        unfilled: tables without a row, with the reason: nothing can be said about their data.
        unloaded: files of --data that never could be loaded, with the reason.
    """

    checked: list[Checked] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    unfilled: dict[str, str] = field(default_factory=dict)
    unloaded: dict[str, str] = field(default_factory=dict)

    @property
    def irreversible(self) -> list[Checked]:
        """Those that cannot be taken back, or of which it was not seen."""
        return [one for one in self.checked if not one.reversible]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "reversible": not self.irreversible,
            "migrations": [one.as_json() for one in self.checked],
            "strangers": self.strangers,
            "tables_without_rows": self.unfilled,
            "data_not_loaded": self.unloaded,
        }
