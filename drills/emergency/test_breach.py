"""Security Breach Response: an intruder is shut out for good, and nothing of his stays.

Whatever the reference deployment gives out is tried again from outside: access tokens, stolen and forged, refresh
tokens, the database's password, a role of his own, the TLS key. It has no session cookie and no API key to try: a
session is a key in Redis that only a token leads to, and programs sign in as users do.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures import breach, cutover
from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.faults.intrusion import STORE, WAYS, Intrusion
from fixtures.halfway import home_behind_the_door, new_values_in_no_file, some_services_recreated
from fixtures.history import PATHS
from fixtures.operators import POLL_SECONDS, REFUSED, Kill, KilledOperator, ended, struck
from fixtures.scenario import AFTER_APPLICATION, NOTHING_TO_DO, Scenario, carried_out
from fixtures.variations import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.emergency]

SECTION = "Emergency Procedures / Security Breach Response"
#: Seconds to recovery that the runbook promises for an emergency.
OBJECTIVE = 1800
FACTS = {"section": SECTION, "procedure": "contain", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("database spheroseg_before_*", "the database of before is evidence: kept, and shut"),
    Allowed(f"database {STORE}", "a database that nobody knows is evidence: kept, and shut"),
    Allowed("rows *", "users went on working", expected=False),
    Allowed("file .env", "new secrets"),
    Allowed("file packages/backend/.env", "new secrets"),
    Allowed("file certbot/conf/live/spheroseg/*", "a certificate with another key"),
    Allowed("edge certificate", "a certificate with another key"),
    Allowed("id *", "every service was made anew", expected=False),
)
PATIENCE, SHUT_SECONDS = 90.0, 30.0
OLD = "v3.9.0"
#: What a release that never ran here leaves.
PATCHED = (
    Allowed("container [bfm]*", "the patched release runs in them"),
    Allowed("image *:v4.0.0", "the patched release was built, and recorded in the end"),
    Allowed("schema", "it brought a migration"),
    Allowed("migrations", "it brought a migration"),
    Allowed("grant * on user_sessions", "it brought a migration"),
)
#: Deployed after the breach; the way back from it leads to the release of before the breach.
NEXT = candidates.polygons().version


def since_then(drill: Drill) -> None:
    """The operator knows when the intruder came in, and has had a certificate issued for a new key."""
    fault = drill.scenario.fault
    assert isinstance(fault, Intrusion)
    words = (*drill.scenario.command, *breach.issued(drill), "--compromised-at", fault.at)
    drill.scenario = replace(drill.scenario, command=words)


def contained(drill: Drill) -> Outcome:
    """The operator types the command; afterwards the drill goes on with the new secrets."""
    outcome = carried_out(drill)
    breach.learned(drill.stack)
    return outcome


def contained_and_looked_at(drill: Drill) -> Outcome:
    """While it is shut somebody asks at the door, once as anybody and once as an operator of the allow-list."""
    outcome = struck("evidence sealed", breach.asked_at_the_door)(drill)
    breach.learned(drill.stack)
    return outcome


def part_by_part(drill: Drill) -> Outcome:
    """The operator types one part after the other, each a run of its own, and looks around in between."""
    fault = drill.scenario.fault
    assert isinstance(fault, Intrusion)
    parts = (
        ("isolate",),
        ("preserve",),
        ("rotate", *breach.issued(drill)),
        ("revoke",),
        ("restore", "--compromised-at", fault.at),
        ("reopen",),
    )
    for words in parts:
        outcome = drill.stack.rollback("contain", *words, "--yes")
        drill.findings.append(ended(f"{words[0]} alone", outcome, 0))
    breach.learned(drill.stack)
    return outcome


def _tried(fault: Intrusion, since: float) -> set[str]:
    """By which ways he has tried twice and more since then, once those are all but two, or in `SHUT_SECONDS`."""
    deadline = time.monotonic() + SHUT_SECONDS
    while True:
        count = Counter(one["way"] for one in fault.notes() if one["sent"] > since)
        tried = {way for way, times in count.items() if times > 1}
        if len(tried) >= len(WAYS) - 2 or time.monotonic() > deadline:
            return tried
        time.sleep(POLL_SECONDS)


def isolated_and_reopened(drill: Drill) -> Outcome:
    """Shut, seen to be shut, and opened again by one command."""
    fault = drill.scenario.fault
    assert isinstance(fault, Intrusion)
    shut = carried_out(drill)
    at = time.monotonic()
    breach.asked_at_the_door(drill)
    tried = _tried(fault, at)
    got = [one for one in fault.notes() if one["got"] and one["sent"] > at and one["way"] != "tls"]
    drill.findings += [
        ended("isolated", shut, 0, "ports answer 503 and Retry-After"),
        finding("nothing got in or out", not got and len(tried) >= len(WAYS) - 2, f"tried {tried}, got {got[:2]}"),
    ]
    outcome = drill.stack.rollback("contain", "reopen", "--yes")
    # whom the intruder robbed is nobody of the drill's users: no write of theirs accounts for that account
    drill.stack.sql("DELETE FROM users WHERE email LIKE 'victim-%' RETURNING id::text")
    return outcome


def killed(kill: Kill) -> Callable[[Drill], Outcome]:
    """The operator is killed in the course of a step, and somebody else goes on."""

    def operator(drill: Drill) -> Outcome:
        outcome = KilledOperator(kill, "resume")(drill)
        breach.learned(drill.stack)
        return outcome

    return operator


def built_and_since_then(drill: Drill) -> None:
    """The images of the release that closes the hole are here."""
    drill.stack.provide_images(GOOD)
    since_then(drill)


def watched_and_prepared(drill: Drill) -> None:
    """The monitoring stack runs as well, and asks the database with its own copy of the password.

    The team of this release has no list of sessions yet.
    """
    breach.prepared(drill)
    toml = drill.stack.checkout / "rollback.toml"
    text, line = toml.read_text(encoding="utf-8"), 'user_sessions = "ended_at"\n'
    assert text.count(line) == 1, f"{line!r} stands {text.count(line)} times in rollback.toml"
    toml.write_text(text.replace(line, ""), encoding="utf-8")
    drill.stack.monitoring.start()


def patched(case: Case) -> list[Finding]:
    """Every promise of the section, no rollback leads to the hole, and monitoring sees everything again."""
    back = case.stack.rollback("application", OLD, "--yes")
    recorded = case.stack.rollback("release", "record", GOOD, "--yes")
    return [
        *all_of_it(case),
        finding("monitoring has the new password", not (why := breach.unwatched(case.stack)), why),
        ended("no way back to the hole", back, REFUSED, f"{GOOD} closes it"),
        ended("the patched release can be recorded", recorded, 0),
    ]


def contained_and_rolled_back(drill: Drill) -> Outcome:
    """Weeks later somebody rolls back this and that, each to something that is older than the breach."""
    outcome = contained(drill)
    refused = drill.stack.rollback("certificates", GOOD, "--yes")
    drill.findings.append(ended("the stolen key is not put back", refused, REFUSED, "its key was revoked on"))
    (backup,) = (one.name for one in (drill.stack.checkout / ".rollback/backups").glob("2*Z-*"))
    drill.stack.deploy(NEXT)
    breach.prepared(drill)
    rolled_back(drill, "application", GOOD)
    with (drill.stack.checkout / ".env").open("a", encoding="utf-8") as file:
        file.write("SPHEROSEG_NOTE=tried something\n")
    for words in (("environment", GOOD), ("database", backup, "--stale"), ("rows", "users", "--from", backup)):
        rolled_back(drill, *words)
    # whoever signed up after the backup was at work without an account until now: 500, as the table has no such user
    drill.recorder.mark(cutover.OVER)
    return outcome


def rolled_back(drill: Drill, *words: str) -> None:
    """It was carried out: what is refused would prove nothing."""
    done = drill.stack.rollback(*words, "--yes")
    good = done.status == 0 or (words[0] == "rows" and done.status == NOTHING_TO_DO)
    told = f"exit {done.status}: {(done.stdout + done.stderr)[-800:]}"
    drill.findings.append(finding(f"{words[0]} rolled back", good, told))


def all_of_it(case: Case) -> list[Finding]:
    """Every promise of the section."""
    fault = case.scenario.fault
    assert isinstance(fault, Intrusion)
    fault.end()
    before = case.stack.container_ids()
    up = case.stack.compose("up", "-d")
    return [
        *breach.shut_out(case),
        *breach.nothing_planted(case),
        *breach.must_reset(case),
        *breach.evidence(case, breach.key_of(case.stack)),
        *breach.nothing_told(case),
        finding("plain up changes nothing", up.good and before == case.stack.container_ids(), up.stderr[-600:]),
    ]


@pytest.fixture
def intrusion() -> Iterator[Intrusion]:
    """He is ended with the drill, however that ends."""
    one = Intrusion()
    yield one
    one.end()


def breached(fault: Intrusion, **more: object) -> Scenario:
    """Somebody is inside, and is contained."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
        "command": ("contain",),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "arranged": breach.prepared,
        "before_command": since_then,
        "operator": contained,
        "outage": "the deployment is shut while it is cleaned",
        "sessions_end": "every session of before is void",
        "settles": False,
        "residue": RESIDUE,
        "further": all_of_it,
        "tells": ("intruder shut out",),
        "patience": PATIENCE,
        "budget": Budget(during=0),
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


@pytest.mark.drill(id="breach-contained", **FACTS)
def test_intruder_is_shut_out(drill: Bench, intrusion: Intrusion) -> None:
    """An intruder with tokens, a password and a role of his own loses every way in and out; nothing of his stays."""
    drill(breached(intrusion, operator=contained_and_looked_at))


@pytest.mark.exhaustive("breach-contained is shut in the same way")
@pytest.mark.drill(id="breach-isolated", **FACTS)
def test_isolation_is_undone_by_one_command(drill: Bench, intrusion: Intrusion) -> None:
    """Shut and opened again: nobody gets in or out meanwhile, and afterwards every session is as before."""
    drill(
        breached(
            intrusion,
            command=("contain", "isolate"),
            before_command=lambda _: None,
            operator=isolated_and_reopened,
            sessions_end="",
            reference="before the command",
            residue=(Allowed("rows *", "users went on working", expected=False),),
            further=lambda _: [],
        )
    )


@pytest.mark.exhaustive("the same parts as in breach-contained, each a run of its own")
@pytest.mark.drill(id="breach-part-by-part", **FACTS)
def test_each_part_alone(drill: Bench, intrusion: Intrusion) -> None:
    """Typed one by one, the parts come to the same end: what one has done the next one finds."""
    drill(breached(intrusion, operator=part_by_part))


KILLS = {
    "rotating": Kill("every secret is another one", new_values_in_no_file),
    "reopening": Kill("reopened", home_behind_the_door),
}


@each("name", "breach-killed", KILLS, FACTS, why="breach-contained goes the same way, and kills are drilled elsewhere")
def test_the_operator_is_killed(drill: Bench, intrusion: Intrusion, name: str) -> None:
    """Killed in a step and resumed: never open with old secrets, and the end is that of breach-contained."""
    drill(breached(intrusion, operator=killed(KILLS[name])))


@pytest.mark.exhaustive("the files and images of the recorded release are started by breach-contained")
@pytest.mark.drill(id="breach-patched", **FACTS)
def test_the_patched_release_is_started(drill: Bench) -> None:
    """The hole is in v3.9.0: v4.0.0, which never ran here, is started, though the operator is killed meanwhile."""
    fault = Intrusion(version=OLD)
    scenario = breached(
        fault,
        releases=(OLD,),
        command=("contain", "--patched", GOOD),
        arranged=watched_and_prepared,
        before_command=built_and_since_then,
        operator=killed(Kill("services made anew", some_services_recreated)),
        further=patched,
        residue=(*RESIDUE, *PATCHED),
    )
    try:
        drill(scenario)
    finally:
        fault.end()


@pytest.mark.exhaustive("what keeps the hole shut has unit tests")
@pytest.mark.drill(id="breach-not-reopened", **FACTS)
def test_later_rollbacks_do_not_open_the_hole_again(drill: Bench, intrusion: Intrusion) -> None:
    """Application, env files, database and rows go back to before the breach: nothing revoked is good again."""
    drill(
        breached(intrusion, operator=contained_and_rolled_back, blamed=(NEXT,), residue=(*RESIDUE, *AFTER_APPLICATION))
    )
