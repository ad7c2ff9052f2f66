"""Rollback Individual Migration: what must not be done to a database is refused, and nothing has changed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.contents import schema, values
from fixtures.faults.candidates import GOOD
from fixtures.faults.migration import PLANS, plans
from fixtures.operators import ended
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.bench import Bench
    from fixtures.command import Outcome
    from fixtures.drill import Drill

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Individual Migration"
FACTS = {"section": SECTION, "procedure": "migration", "severity": "critical", "objective": None}
MIGRATION = ("migration", "013")
REFUSED = 20
#: Nobody of the users writes these: not a bit of them may change.
STILL = ("schema_migrations", "project_plans", "project_shares", "system_events")
LEFT, TAKEN = "would not put back what was before it", "holds what no proof can make good"
#: The right script with one thing done otherwise, and what the refusal has to name.
SABOTAGED: dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "forgets an enum, a grant and a trigger": (
        (
            ("DROP TRIGGER project_plan_kept ON projects;\n", ""),
            ("DROP FUNCTION project_plan_kept();\n", ""),
            ("REVOKE SELECT ON projects FROM pg_monitor;\n", ""),
            ("DROP TYPE project_plan;\n", ""),
        ),
        (
            LEFT,
            "left behind: type public.project_plan",
            "left behind: trigger public.projects.project_plan_kept",
            "left behind: function public.project_plan_kept()",
            "not put back: relation public.projects",
            "pg_monitor",
        ),
    ),
    "cascades by its words": (
        (("ALTER TABLE projects DROP COLUMN plan;\nDROP TYPE project_plan;", "DROP TYPE project_plan CASCADE;"),),
        (TAKEN, "line 6", "project_plan", "CASCADE takes whatever depends on it along"),
    ),
    "cascades into the rows of another table": (
        (("DROP TABLE project_plans;\n", "DROP TABLE project_plans;\nDELETE FROM projects WHERE plan = 'free';\n"),),
        (LEFT, "public.projects has 0 rows", "rows of public.images were written, which the migration never touched"),
    ),
    "takes another table's column along": (
        (("DROP TABLE project_plans;\n", "DROP TABLE project_plans;\nALTER TABLE images DROP COLUMN sha256;\n"),),
        (TAKEN, "images.sha256", "drops a column that the migration is not seen to make"),
    ),
}
#: What is typed out of order; 013 is the newest that is applied.
OUT_OF_ORDER = {
    "an old one alone": (("migration", "010"), "the newest applied are 013, 012"),
    "with a gap": (("migration", "013", "011"), "the newest applied are 013, 012, 011"),
    "oldest first": (("migration", "012", "013"), "the newest applied are 013, 012, 011"),
    "forward with a gap": (("migration", "forward", "015"), "Migration 015 is not the next one"),
}


def one_after_another(drill: Drill) -> Outcome:
    """The operator tries one after the other; after each of them the database is bit for bit what it was."""
    for name, (words, said) in OUT_OF_ORDER.items():
        with _nothing_changed(drill, f"out of order: {name}"):
            outcome = drill.stack.rollback(*words, "--yes")
        drill.findings.append(ended(f"out of order: {name}", outcome, REFUSED, said))
    for name, (edits, named) in SABOTAGED.items():
        with _sabotaged(drill, edits), _nothing_changed(drill, f"a script that {name}"):
            outcome = drill.stack.rollback(*drill.scenario.command, "--yes")
        drill.findings.append(ended(f"a script that {name}", outcome, REFUSED, *named))
    return outcome


@contextmanager
def _sabotaged(drill: Drill, edits: tuple[tuple[str, str], ...]) -> Iterator[None]:
    path = drill.stack.checkout / PLANS.script
    before = text = path.read_text(encoding="utf-8")
    for once, instead in edits:
        assert text.count(once) == 1, f"{once!r} stands {text.count(once)} times in {path.name}"
        text = text.replace(once, instead)
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


@contextmanager
def _nothing_changed(drill: Drill, name: str) -> Iterator[None]:
    """Schema, types, functions, triggers and grants as PostgreSQL dumps them, and every bit of the rows that rest."""
    before = schema(drill.stack), values(drill.stack, {}, STILL)
    yield
    after = schema(drill.stack), values(drill.stack, {}, STILL)
    drill.findings += [
        finding(f"{name}: schema as it was", before[0] == after[0], "pg_dump writes another schema than before"),
        finding(f"{name}: rows as they were", before[1] == after[1], f"{before[1]} -> {after[1]}"),
    ]


@pytest.mark.drill(id="migration-refused", **FACTS)
def test_what_would_not_put_back_what_was_is_refused(drill: Bench) -> None:
    """Out of order, cascading, forgetful: each is refused with what it would do, and nothing has changed."""
    drill(
        Scenario(
            (GOOD,), plans(), MIGRATION, {}, exit=REFUSED, said=("images.sha256",), unchanged=True,
            operator=one_after_another,
        )
    )  # fmt: skip
