"""Rollback Individual Migration: tables that somebody holds, and operators who are not alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.command import Outcome
from fixtures.contents import schema
from fixtures.faults.candidates import GOOD
from fixtures.faults.migration import PLANS, LeftOpen, left_open
from fixtures.history import PATHS
from fixtures.operators import ended, served_meanwhile
from fixtures.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Individual Migration"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "migration", "severity": "critical"}
REFUSED = 20
#: Whoever has a table held from under him wants to know soon by whom.
TOLD_SECONDS = 60.0
LIMIT_SECONDS = 50.0
POLL_SECONDS = 0.1
RESIDUE = (Allowed("rows *", "users went on working", expected=False),)
STATEMENT = re.compile(r"`(SELECT pg_terminate_backend\(\d+\);)`")
HOLDS_THE_LOCK, MIGRATES = "has held the lock of this deployment since", "Somebody else migrates this database"
LEFT = """
    SELECT (SELECT max(version) FROM schema_migrations) || ' and ' || (SELECT count(*) FROM pg_namespace
    WHERE nspname LIKE 'rollback_attic%') || ' attics'"""


def held_and_not_alone(drill: Drill) -> Outcome:
    """A table is held whole: refused, and the named statement ends it. Then three operators are at it at once."""
    fault = drill.scenario.fault
    assert isinstance(fault, LeftOpen)
    before = schema(drill.stack)
    fault.hold(drill.stack)
    drill.findings += _told_who(drill, fault)
    drill.findings.append(finding("refused: schema as it was", schema(drill.stack) == before, "it is another"))
    return _at_once(drill)


def _told_who(drill: Drill, fault: LeftOpen) -> Iterator[Finding]:
    """Plan and refusal name the session, and what the refusal says is typed as it stands there."""
    named = f"({fault.who}, postgres from "
    plan = drill.stack.rollback(*drill.scenario.command, "--plan")
    yield ended("plan while it is held", plan, 0, named, "has to end before tables can be locked")
    began = time.monotonic()
    refused = drill.stack.rollback(*drill.scenario.command, "--yes")
    took = time.monotonic() - began
    yield ended("refused while it is held", refused, REFUSED, named, f"has held {fault.table} (AccessExclusiveLock)")
    yield finding("told soon", took < TOLD_SECONDS, f"after {took:.0f} s")
    statement = STATEMENT.search(refused.stdout + refused.stderr)
    words = ("exec", "-T", "db", "psql", "-U", "postgres", "-d", "spheroseg", "-c", statement[1] if statement else "")
    typed = drill.stack.compose(*words)
    yield finding("the named statement ends it", fault.is_ended(), f"{words[-1]!r}: {typed.said}")
    fault.let_go()


def _at_once(drill: Drill) -> Outcome:
    """Two in this checkout, one in another; somebody who only reads keeps them waiting until two have ended."""
    other = drill.folder / "second host"
    shutil.copytree(drill.stack.checkout, other, ignore=shutil.ignore_patterns(".rollback"))
    with psycopg.connect(drill.stack.dsn, application_name="a long report") as reader:
        reader.execute("SELECT count(*) FROM projects")
        operators = [_typed(drill, where) for where in (drill.stack.checkout, drill.stack.checkout, other)]
        deadline = time.monotonic() + LIMIT_SECONDS
        while (busy := sum(one.poll() is None for one in operators)) > 1 and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    drill.findings.append(finding("two are refused at once", busy == 1, f"{busy} of 3 went on for {LIMIT_SECONDS} s"))
    outcomes = sorted(map(_end, operators), key=lambda one: one.status)
    drill.findings += _one_did_it(drill, outcomes)
    return outcomes[0]


def _typed(drill: Drill, where: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "rollback", *drill.scenario.command, "--yes", "--directory", str(where)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _end(one: subprocess.Popen[str]) -> Outcome:
    out, err = one.communicate(timeout=LIMIT_SECONDS)
    return Outcome(tuple(map(str, one.args)) if isinstance(one.args, list) else (), one.returncode, out, err)


def _one_did_it(drill: Drill, outcomes: list[Outcome]) -> Iterator[Finding]:
    """One has done it; the one beside him hears of the deployment's lock, the one elsewhere of the database's."""
    codes, said = [one.status for one in outcomes], [one.stdout + one.stderr for one in outcomes[1:]]
    yield finding("one of three did it", codes == [0, REFUSED, REFUSED], f"exit codes {codes}: {said}")
    for words in (HOLDS_THE_LOCK, MIGRATES):
        yield finding(f"told: {words}", sum(words in one for one in said) == 1, f"{said}")
    named = [one for one in said if MIGRATES in one and "(rollback migration, " in one and "pid " in one]
    yield finding("told who migrates", len(named) == 1, f"{said}")
    left = drill.stack.sql(LEFT)
    yield finding("done once", left == "012 and 1 attics", f"found {left}")


@pytest.mark.exhaustive("tests of the database alone hold the same locks")
@pytest.mark.drill(id="migration-lock-held", objective=OBJECTIVE, **FACTS)
def test_table_that_is_held_and_operators_at_once(drill: Bench) -> None:
    """A table held whole is told with who holds it and how to end that; of three operators at once one does it."""
    drill(
        Scenario(
            (GOOD,),
            left_open(),
            ("migration", PLANS.version),
            dict.fromkeys(PATHS, GOOD),
            operator=served_meanwhile(held_and_not_alone),
            objective=OBJECTIVE,
            residue=RESIDUE,
            budget=Budget(during=0),
        )
    )
