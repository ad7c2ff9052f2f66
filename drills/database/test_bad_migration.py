"""Rollback Individual Migration: a migration that breaks what users do is taken back, with users at work."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.drill import MachineryError
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.migration import COLOURS, PLANS, plans_and_colours
from fixtures.history import PATHS
from fixtures.operators import Kill, KilledOperator, ended, served_meanwhile
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.database]

SECTION = "Database Rollback / Rollback Individual Migration"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "migration", "severity": "critical"}
MIGRATION = ("migration", "013")
#: A session of the rollback's holds the table that the migration has changed.
UNDERWAY = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name LIKE 'rollback%'
    AND l.relation = 'public.projects'::regclass AND l.granted AND l.mode LIKE '%ExclusiveLock'"""
LEFT = """
    SELECT (SELECT max(version) FROM schema_migrations) || ' and ' ||
           (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rollback_attic%') || ' attics'"""
COLOURED_OF_ALL = "SELECT count(*) FROM projects WHERE colour = md5(name)"
LIMIT_SECONDS = 60
POLL_SECONDS = 0.02
SCRIPT = "scripts/rollback/013_project_slugs_rollback.sql"


def migration_then_application(drill: Drill) -> Outcome:
    """What the refusal of `rollback application` says: the migration first, and then the release that brought it."""
    first = drill.stack.rollback(*drill.scenario.command, "--yes")
    drill.findings.append(ended("migration", first, 0))
    return drill.stack.rollback("application", GOOD, "--yes")


def killed_in_the_transaction(drill: Drill) -> Outcome:
    """SIGKILL while script and proof hold their locks; then somebody else resumes, and goes on to the application."""
    argv = drill.stack.rollback_argv(*drill.scenario.command, "--yes")
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as one:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not drill.stack.sql(UNDERWAY):
            if one.poll() is not None or time.monotonic() > deadline:
                raise MachineryError("the migration was taken back before anybody could be killed")
            time.sleep(POLL_SECONDS)
        os.killpg(one.pid, signal.SIGKILL)
    left = drill.stack.sql(LEFT)
    drill.findings.append(finding("nothing is half done", left == "013 and 0 attics", f"found {left}"))
    drill.findings.append(ended("resume", drill.stack.rollback("resume", "--yes"), 0))
    return drill.stack.rollback("application", GOOD, "--yes")


@pytest.mark.monthly
@pytest.mark.gate
@pytest.mark.drill(id="migration-constraint", objective=OBJECTIVE, brings=("migrations", "images"), **FACTS)
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
        finding("plan names the attic", told, drill.plan[-600:]),
        finding("attic", rows == 1, f"{rows} tables of kept values"),
    ]


@pytest.mark.exhaustive("rows-killed is killed in a transaction as well")
@pytest.mark.trust
@pytest.mark.drill(id="migration-killed", objective=OBJECTIVE, **FACTS)
def test_operator_killed_in_the_transaction(drill: Bench) -> None:
    """Killed while the migration is being taken back, nothing of it has happened; resume takes it back."""
    drill(
        Scenario.back_to(
            GOOD,
            candidates.constraint(),
            command=MIGRATION,
            operator=killed_in_the_transaction,
            objective=OBJECTIVE,
            further=attic_and_plan,
        )
    )


@pytest.mark.exhaustive("migration-refused has such a script among its eight")
@pytest.mark.monthly
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


def killed_after_the_first(drill: Drill) -> Outcome:
    """SIGKILL when one of two is committed; somebody takes the run back, and types the command once more."""
    drill.findings += all_coloured(drill, "before")
    # only the second wants this table for itself: it waits, and cannot be committed before the kill
    with psycopg.connect(drill.stack.dsn) as reader:
        reader.execute("SELECT * FROM project_plans")
        aborted = KilledOperator(Kill(f"migration {PLANS.version}", only_the_first_is_back), "abort")(drill)
    drill.findings.append(ended("abort", aborted, 0, "taken back"))
    left = drill.stack.sql(LEFT)
    drill.findings.append(finding("the first is forward again", left == "014 and 0 attics", f"found {left}"))
    drill.findings += all_coloured(drill, "after the abort")
    return drill.stack.rollback(*drill.scenario.command, "--yes")


def all_coloured(drill: Drill, when: str) -> list[Finding]:
    """Each project has the colour that people gave it, and not that of the migration."""
    coloured, there = drill.stack.sql(COLOURED_OF_ALL), drill.stack.sql("SELECT count(*) FROM projects")
    told = f"{coloured} of {there} projects have their colour"
    return [finding(f"colours {when}", coloured == there > 0, told)]


def only_the_first_is_back(case: Case) -> bool:
    """The newer of two migrations is gone, and the older one is not."""
    return bool(case.stack.sql(LEFT) == "013 and 1 attics")


@pytest.mark.trust
@pytest.mark.exhaustive("killed within one is the harder one")
@pytest.mark.drill(id="migration-aborted", objective=OBJECTIVE, **FACTS)
def test_operator_killed_between_two_migrations(drill: Bench) -> None:
    """Killed when the first of two is committed, abort brings it forward again with all that people made of it."""
    drill(
        Scenario(
            (GOOD,),
            plans_and_colours(),
            ("migration", COLOURS.version, PLANS.version),
            dict.fromkeys(PATHS, GOOD),
            operator=served_meanwhile(killed_after_the_first),
            objective=OBJECTIVE,
            residue=(Allowed("rows *", "users went on working", expected=False),),
        )
    )
