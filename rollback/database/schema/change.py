"""The way from one schema to another as data: statements, and what they do to rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Change"]


@dataclass(frozen=True)
class Change:
    """The way from one schema to another.

    Attributes:
        first: statements before values come back.
        last: statements after that.
        lost_tables: whose rows go.
        lost_columns: whose values go, by table.
        new_tables: that come back.
        new_columns: that come back, by table.
        retyped: (table, column, type now, type then): values may not fit.
        kept: columns that must not change, of every table that stays and is touched.
        keys: primary keys of the tables that are touched, as they are now.
        references: of the tables that come back, as `parents.Key` has them.
        undefaulted: columns that come back NOT NULL and without a default, by table.
    """

    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    lost_tables: list[str] = field(default_factory=list)
    lost_columns: dict[str, list[str]] = field(default_factory=dict)
    new_tables: list[str] = field(default_factory=list)
    new_columns: dict[str, list[str]] = field(default_factory=dict)
    retyped: list[tuple[str, str, str, str]] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    references: list[dict[str, Any]] = field(default_factory=list)
    undefaulted: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Change:
        """One that was written as JSON, which knows no tuples."""
        return cls(**{**raw, "retyped": [tuple(one) for one in raw["retyped"]]})

    def after(self, statements: list[str]) -> Change:
        """The same, with statements that come before all others."""
        return replace(self, first=[*statements, *self.first])

    @property
    def touched(self) -> list[str]:
        """Tables that are there now and that somebody else must not write meanwhile."""
        return sorted({*self.kept, *self.lost_tables})
