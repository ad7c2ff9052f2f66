"""Environment Variables: the env files go back to a recorded release with users at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.faults.candidates import GOOD
from fixtures.faults.environment import FILE, KINDS, broken, with_password
from fixtures.scenario import AFTER_APPLICATION, Scenario
from fixtures.variations import each

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.configuration]

SECTION = "Configuration Rollback / Environment Variables"
OBJECTIVE = 120
FACTS = {"section": SECTION, "procedure": "environment", "severity": "critical", "objective": OBJECTIVE}
HARDEST = "jwt"


def odd_password(drill: Drill) -> None:
    """The team has a password with `$` and `#`, quoted as Compose needs it, before the release is recorded."""
    stack = drill.stack
    fresh = f"{stack.secrets['POSTGRES_PASSWORD']}$ec#ret"
    with psycopg.connect(stack.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(fresh)))
    stack.secrets["POSTGRES_PASSWORD"] = fresh
    path = stack.checkout / FILE
    path.write_text(with_password(path.read_text(encoding="utf-8"), fresh), "utf-8")
    stack.compose("up", "-d", "--wait").check()
    stack.reload_edge()


def as_recorded(case: Case) -> list[Finding]:
    """Byte for byte, with its mode; the plan names what changes and never to what."""
    recorded = (case.stack.checkout / ".rollback/releases" / GOOD / "files" / FILE).read_bytes()
    values = [one for one in case.stack.secrets.values() if one in case.plan]
    return [
        finding("bytes", (case.stack.checkout / FILE).read_bytes() == recorded, f"{FILE} is not as recorded"),
        finding("plan names", f"{FILE} is put back" in case.plan, case.plan),
        finding("plan tells no value", not values, "a secret stands in the plan"),
    ]


@each("kind", "environment", KINDS, FACTS, why="the way back is the same for each of them", always={HARDEST})
def test_env_file_that_stops_the_backend(drill: Bench, kind: str) -> None:
    """An env file that the backend cannot work with goes back, and nobody else is restarted."""
    scenario = Scenario.back_to(
        GOOD,
        broken(kind),
        command=("environment", GOOD),
        objective=OBJECTIVE,
        residue=AFTER_APPLICATION,
        blamed=(),
        further=as_recorded,
        # nobody can sign in while it lasts: no write is acknowledged
        budget=Budget(during=0),
        **({"arranged": odd_password} if kind == "dollar" else {}),
    )
    drill(scenario)
