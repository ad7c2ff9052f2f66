"""Rollback Individual Migration: 012, 011 and 010 taken back as the runbook shows, and brought forward again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.contents import schema, values
from fixtures.faults.candidates import withdrawn
from fixtures.newcomer import signed_in
from fixtures.operators import ended
from fixtures.scenario import AFTER_APPLICATION, Scenario
from fixtures.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from fixtures.bench import Bench
    from fixtures.command import Outcome
    from fixtures.drill import Drill

    Way: TypeAlias = Callable[[Drill], Iterator[tuple[tuple[str, ...], Outcome]]]

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.database]

SECTION = "Database Rollback / Rollback Individual Migration"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "migration", "severity": "critical", "objective": OBJECTIVE}
OLD = "v3.9.0"
REFUSED = 20
#: As the runbook lists them.
ORDER = ("012", "011", "010")
#: What each migration made, as PostgreSQL's own dump writes it.
MADE = {
    "012": ("CREATE TABLE public.user_sessions ", "last_login_at", "INDEX refresh_tokens_session_id_idx "),
    "011": ("CREATE TABLE public.system_events ", "CREATE VIEW public.queue_depth ", "INDEX system_events_at_idx "),
    "010": ("INDEX projects_user_id_idx ", "INDEX images_project_id_idx ", "INDEX segmentation_queue_open_idx "),
}
HEAD = "SELECT max(version) FROM schema_migrations"
ATTICS = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rollback_attic%'"
#: What would be lost with them; nothing of it is written by v3.9.0.
KEPT = {
    "sessions": "SELECT * FROM user_sessions",
    "sign-ins": "SELECT id, last_login_at FROM users WHERE last_login_at IS NOT NULL",
    "events": "SELECT * FROM system_events",
    "numbers of events": "SELECT pg_sequence_last_value('system_events_id_seq')",
}
SIGN_INS = 3
RESIDUE = (
    *AFTER_APPLICATION,
    Allowed("image spheroseg-drill/*:v4.0.0", "the withdrawn release's own image names", expected=False),
    *(Allowed(name, "012 was brought forward again") for name in ("schema", "migrations", "grant * on user_sessions")),
)


def sessions_listed(drill: Drill) -> None:
    """Somebody signs in at the release, while users do when they like: taking 012 back could lose something."""
    signed_in(drill.stack, drill.recorder, "newcomer", times=SIGN_INS)


def one_by_one(drill: Drill) -> Iterator[tuple[tuple[str, ...], Outcome]]:
    """012, 011, 010: nothing that runs knows the schema of before 011, and that is said before it is done."""
    yield ("012",), drill.stack.rollback("migration", "012", "--yes")
    drill.findings += _needed(drill, "011", "works with migration 011, 012, and the database will be at 010")
    yield ("011",), drill.stack.rollback("migration", "011", "--outage", "--yes")
    yield ("010",), drill.stack.rollback("migration", "010", "--outage", "--yes")


def three_at_once(drill: Drill) -> Iterator[tuple[tuple[str, ...], Outcome]]:
    """All three in one command."""
    yield ORDER, drill.stack.rollback("migration", "--steps", "3", "--outage", "--yes")


def there_and_back(way: Way) -> Callable[[Drill], Outcome]:
    """The application first; then the migrations back, each proven by PostgreSQL's own dump; then forward again."""

    def at_it(drill: Drill) -> Outcome:
        drill.findings += _needed(drill, "012", "works with migration 012, and the database will be at 011")
        drill.findings.append(ended("application", drill.stack.rollback("application", OLD, "--yes"), 0))
        kept, seen = values(drill.stack, KEPT), {"012": schema(drill.stack)}
        drill.findings += [_something(name, text) for name, text in kept.items()]
        for versions, outcome in way(drill):
            last = versions[-1]
            drill.findings.append(ended(f"{' '.join(versions)} back", outcome, 0))
            seen[_before(last)] = schema(drill.stack)
            drill.findings += _gone(drill, versions, seen[_before(last)])
        outcome = _forward(drill, seen)
        drill.findings.append(finding("values are back", values(drill.stack, KEPT) == kept, f"were {kept}"))
        left = drill.stack.sql(ATTICS)
        drill.findings.append(finding("attics are empty", left == 0, f"{left} attics are left"))
        return outcome

    return at_it


def _needed(drill: Drill, version: str, said: str) -> list[Finding]:
    """What runs cannot work without it, by its own word: refused, and nothing has changed."""
    before = schema(drill.stack)
    refused = drill.stack.rollback("migration", version, "--yes")
    same = schema(drill.stack) == before
    return [
        ended(f"{version} while it is needed", refused, REFUSED, said, "--outage"),
        finding(f"{version} while it is needed: schema as it was", same, "the refusal changed the schema"),
    ]


def _before(version: str) -> str:
    return f"{int(version) - 1:03}"


def _something(name: str, text: str) -> Finding:
    """Without rows nothing could be lost."""
    verdict = Verdict.INCONCLUSIVE if text.startswith("0 rows") else Verdict.PASS
    return Finding(f"something to lose: {name}", verdict, text)


def _gone(drill: Drill, versions: tuple[str, ...], now: str) -> Iterator[Finding]:
    """The history ends before them, and nothing of them is in the schema; what was before them still is."""
    head = drill.stack.sql(HEAD)
    yield finding(f"{versions[-1]}: history", head == _before(versions[-1]), f"the history ends at {head}")
    left = [one for version in versions for one in MADE[version] if one in now]
    yield finding(f"{' '.join(versions)}: effect", not left, f"still there: {left}")
    others = [one for version in ORDER if version < versions[-1] for one in MADE[version] if one not in now]
    yield finding(f"{' '.join(versions)}: nothing else", not others, f"gone as well: {others}")


def _forward(drill: Drill, seen: dict[str, str]) -> Outcome:
    """Oldest first; each time the schema is what it was at that migration."""
    for version in reversed(ORDER):
        outcome = drill.stack.rollback("migration", "forward", version, "--yes")
        drill.findings.append(ended(f"{version} forward", outcome, 0))
        now = schema(drill.stack)
        lacking = [one for one in MADE[version] if one not in now]
        same = not lacking and now == seen.get(version, now)
        drill.findings.append(
            finding(f"{version} forward: schema", same, f"lacking {lacking}, or otherwise than before")
        )
    return outcome


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(one_by_one, id="each", marks=pytest.mark.drill(id="migrations-each", **FACTS)),
        pytest.param(
            three_at_once,
            id="steps",
            marks=[
                pytest.mark.drill(id="migrations-steps", **FACTS),
                pytest.mark.exhaustive("migrations-each goes the same way in three commands"),
            ],
        ),
    ],
)
def test_back_as_the_runbook_shows_and_forward_again(drill: Bench, way: Way) -> None:
    """A release is withdrawn and 012, 011 and 010 after it; brought forward again, all values are what they were."""
    drill(
        Scenario.back_to(
            OLD,
            withdrawn(OLD),
            operator=there_and_back(way),
            objective=OBJECTIVE,
            before_command=sessions_listed,
            residue=RESIDUE,
            blamed=(),
        )
    )
