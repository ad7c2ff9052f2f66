"""Rollback Individual Migration: a migration that breaks what users do is taken back, with users at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.scenario import Scenario
from fixtures.verdict import Finding, Verdict

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.command import Outcome
    from fixtures.drill import Drill

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Individual Migration"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "migration", "severity": "critical"}
MIGRATION = ("migration", "013")
SCRIPT = "scripts/rollback/013_project_slugs_rollback.sql"


def migration_then_application(drill: Drill) -> Outcome:
    """What the refusal of `rollback application` says: the migration first, and then the release that brought it."""
    first = drill.stack.rollback(*drill.scenario.command, "--yes")
    drill.findings.append(exit_code("migration", first, 0))
    return drill.stack.rollback("application", GOOD, "--yes")


def exit_code(check: str, outcome: Outcome, wanted: int) -> Finding:
    """How a command of the incident ended."""
    good = outcome.status == wanted and "Traceback" not in outcome.stderr
    text = f"exit {outcome.status}, wanted {wanted}: {(outcome.stdout + outcome.stderr)[-600:]}"
    return Finding(check, Verdict.PASS if good else Verdict.FAIL, text)


@pytest.mark.gate
@pytest.mark.drill(id="migration-constraint", objective=OBJECTIVE, **FACTS)
def test_migration_that_refuses_new_projects(drill: Bench) -> None:
    """A migration with a constraint that no user keeps is taken back, then the release that brought it."""
    told = Scenario.back_to(
        GOOD,
        candidates.constraint(),
        command=MIGRATION,
        operator=migration_then_application,
        objective=OBJECTIVE,
        further=attic_and_plan,
    )
    drill(told)


def attic_and_plan(drill: Drill) -> list[Finding]:
    """The plan said what goes to the attic, and it is there: the addresses that projects had been given."""
    told = all(words in drill.plan for words in ("project_slugs_taken go to the attic", "(slug) go to the attic"))
    rows = drill.stack.sql(
        "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema LIKE 'rollback_attic_013%'"
        " AND table_name = 'public.projects')"
    )
    return [
        Finding("plan names the attic", Verdict.PASS if told else Verdict.FAIL, drill.plan[-600:]),
        Finding("attic", Verdict.PASS if rows == 1 else Verdict.FAIL, f"{rows} tables of kept values"),
    ]


@pytest.mark.drill(id="migration-residue", objective=None, **FACTS)
def test_script_that_leaves_something_behind_is_refused(drill: Bench) -> None:
    """A rollback script that forgets a column and an index is refused with what it leaves, and nothing has changed."""

    def forgetful(one: Drill) -> None:
        path = one.stack.checkout / SCRIPT
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(
            "".join(line for line in lines if "slug_idx" not in line and "COLUMN" not in line), encoding="utf-8"
        )

    fault = candidates.constraint()
    said = ("left behind: column public.projects.slug", "left behind: index public.projects.projects_slug_idx")
    drill(
        Scenario(
            (GOOD,), fault, MIGRATION, {}, exit=20, said=said, blamed=(fault.version,), unchanged=True,
            before_command=forgetful,
        )
    )  # fmt: skip
