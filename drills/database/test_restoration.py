"""Full Database Restoration: the database goes back to a backup while users work, and what is lost was announced."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyrage
import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.drill import MachineryError
from fixtures.faults.candidates import GOOD
from fixtures.faults.database import cleaned_up, nowhere_stored
from fixtures.history import PATHS
from fixtures.operators import Kill, KilledOperator
from fixtures.scenario import Scenario
from fixtures.variations import each

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.database]

SECTION = "Database Rollback / Full Database Restoration"
#: Seconds to recovery that the runbook promises for a database error.
OBJECTIVE = 900
FACTS = {"section": SECTION, "procedure": "database", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("database spheroseg_before_*", "the database of before is kept until somebody drops it"),
    Allowed("rows *", "users went on working", expected=False),
)
REFUSED, NOT_PUT_BACK = 20, 40
#: By the word of the list of late writes, what the post-mortem says of such rows.
TOLD = {"new": "rows lost", "changed": "rows as they were before", "deleted": "rows back that had been deleted"}
LIMIT_SECONDS = 120
#: PostgreSQL's data lie on a disk that can be filled without harm to anybody else.
SMALL_DISK = {"db": ("environment: {{PGDATA: /room/data}}", 'tmpfs: ["/room:size=300m,mode=0777"]')}
FILL = "fallocate -l $(( ($(df -P -k /room | awk 'END {print $4}') - 6000) * 1024 )) /room/other"
POLL_SECONDS = 0.02
#: The restore has created its first table.
RESTORING = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'spheroseg_restored_%'"
KILLS = {"restoring": "restored beside", "listing": "writes stopped", "swapping": "users served by the database"}


def restored(**more: object) -> Scenario:
    """The database is damaged after a backup, and goes back to it."""
    usual = {
        "releases": (GOOD,),
        "fault": cleaned_up(),
        "command": ("database", "latest"),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "outage": "writes stop before the swap, and sessions are ended by it",
        "sessions_end": "who signed up or in after the backup is not in it",
        # where the table of projects is gone, only accounts can be written
        "budget": Budget(during=0),
        "residue": RESIDUE,
        "settles": False,
        "further": announced,
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


def announced(case: Case) -> list[Finding]:
    """What was lost was told before the swap, row by row, and everything that was told is lost."""
    new = {str(one["row"]["id"]) for one in case.announced() if one["kind"] == "new" and "id" in one["row"]}
    names = ", ".join(f"'{one}'" for one in new) or "''"
    there = case.stack.sql(
        f"SELECT count(*) FROM (SELECT id::text FROM users UNION ALL SELECT id::text FROM projects"  # noqa: S608 -- identities that the service gave
        f" UNION ALL SELECT id::text FROM images) one WHERE id IN ({names})"
    )
    events = [json.loads(line) for line in case.journal().splitlines()]
    order = [one["data"]["step"].partition(",")[0] for one in events if one["event"] in ("intent", "done")]
    moved = [n for n, one in enumerate(order) if one.startswith("users served by")]
    told = bool(moved) and "writes stopped" in order[: moved[0]]
    return [
        finding("something was announced", len(new) > 0, "no row was announced: nothing late was there to be lost"),
        finding("what was announced is gone", there == 0, f"{there} of {len(new)} announced rows are there"),
        finding("announced before the swap", told, f"the journal says {order}"),
        in_the_postmortem(case),
    ]


def in_the_postmortem(case: Case) -> Finding:
    """It has as many rows as the list of its run, and no fewer than users have seen undone."""
    path = case.stack.checkout / ".rollback/runs" / case.postmortem()["run"] / "late.jsonl"
    listed = Counter(json.loads(line)["kind"] for line in path.read_text(encoding="utf-8").splitlines())
    loss = case.told_loss()
    told = {kind: int(number[1]) if (number := re.search(rf"(\d+) {text}", loss)) else 0 for kind, text in TOLD.items()}
    undone = [one for one in case.findings if one.check == "ledger"][-1].figures["announced"]
    good = told == {kind: listed[kind] for kind in TOLD} and sum(told.values()) >= undone and "not known" not in loss
    return finding("loss in the post-mortem", good, f"{listed} are listed, {undone} writes are undone, it says: {loss}")


def one_after_another(drill: Drill) -> Outcome:
    """The operator tries one bad backup after the other; the last word is the last refusal."""
    for blow, words in BLOWS.items():
        with blow(drill):
            outcome = drill.stack.rollback(*drill.scenario.command, "--yes")
        good = outcome.status == REFUSED and words in outcome.stdout + outcome.stderr
        told = f"exit {outcome.status}, wanted {words!r}: {outcome.stderr[-600:]}"
        drill.findings.append(finding(f"refused: {blow.__name__.replace('_', ' ')}", good, told))
    return outcome


def _backup(drill: Drill) -> Path:
    return max((drill.stack.checkout / ".rollback/backups").glob("2*Z-*"))


def _largest(drill: Drill) -> Path:
    return max((_backup(drill) / "dump").iterdir(), key=lambda path: path.stat().st_size)


@contextmanager
def cut(drill: Drill) -> Iterator[None]:
    """Its largest file ends in the middle."""
    whole = _largest(drill).read_bytes()
    with _written(_largest(drill), whole[: len(whole) // 2]):
        yield


@contextmanager
def one_bit_flipped(drill: Drill) -> Iterator[None]:
    """One bit of it is another."""
    raw = bytearray(_largest(drill).read_bytes())
    raw[len(raw) // 2] ^= 1
    with _written(_largest(drill), bytes(raw)):
        yield


@contextmanager
def of_another_database(drill: Drill) -> Iterator[None]:
    """The deployment's database has another name."""
    with _said(drill, 'service = "db"\nname = "spheroseg"', 'service = "db"\nname = "archive"'):
        yield


@contextmanager
def older_than_allowed(drill: Drill) -> Iterator[None]:
    """The team allows only what is a few seconds old."""
    with _said(drill, "max_age_hours = 26", "max_age_hours = 0.0001"):
        yield


@contextmanager
def sealed_to_somebody_else(drill: Drill) -> Iterator[None]:
    """The private key at hand is not the one that it was sealed to."""
    theirs, ours = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    path = drill.folder / "identity"
    path.write_text(f"{ours}\n", encoding="ascii")
    path.chmod(0o600)
    named = f'recipients = ["{theirs.to_public()}"]\nidentity_file = "{path}"\n#'
    with _said(drill, "recipients = []", named):
        drill.stack.rollback("backup", "take", "--encrypt").check()
        yield


@contextmanager
def without_room(drill: Drill) -> Iterator[None]:
    """Something else has filled the disk of PostgreSQL up to a few megabytes; its log has room for a while."""
    # users go on writing, and PostgreSQL that cannot write its log stops: a new file of it, and a record in it
    for question in ("SELECT pg_switch_wal()", "SELECT pg_logical_emit_message(true, 'drill', 'a new file')"):
        drill.stack.sql(question)
    drill.stack.compose("exec", "-T", "db", "sh", "-c", FILL).check()
    try:
        yield
    finally:
        drill.stack.compose("exec", "-T", "db", "rm", "/room/other").check()


@contextmanager
def _written(path: Path, raw: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(raw)
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def _said(drill: Drill, once: str, instead: str) -> Iterator[None]:
    path = drill.stack.checkout / "rollback.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(once) == 1, f"{once!r} stands {text.count(once)} times in rollback.toml"
    with _written(path, text.replace(once, instead).encode()):
        yield


BLOWS = {
    cut: "rung `files`",
    one_bit_flipped: "rung `files`",
    of_another_database: "is of the database `spheroseg`",
    older_than_allowed: "max_age_hours is 0.0001",
    without_room: "are free",
    sealed_to_somebody_else: "rung `opened`",
}


@pytest.mark.monthly
@pytest.mark.drill(id="database-restored", **FACTS)
def test_damaged_database_goes_back_to_a_backup(drill: Bench) -> None:
    """A damaged database is put back as the last backup has it; users come back, and each lost row was announced."""
    drill(restored(said=("new rows lost", "equal to its manifest")))


@pytest.mark.exhaustive("each refusal has its tests on a real server")
@pytest.mark.monthly
@pytest.mark.drill(id="database-refused", **{**FACTS, "objective": None})
def test_backups_that_nobody_should_believe_are_refused(drill: Bench) -> None:
    """Cut, flipped, of another database, too old, without room, sealed to somebody else: refused, nothing touched."""
    drill(
        restored(
            fault=nowhere_stored(),
            budget=Budget(),
            serves={},
            objective=None,
            operator=one_after_another,
            exit=REFUSED,
            said=("rung `opened`",),
            unchanged=True,
            overrides=SMALL_DISK,
            outage="",
            sessions_end="",
            further=lambda _case: [],
        )
    )


def while_postgresql_dies(drill: Drill) -> Outcome:
    """PostgreSQL is killed in the middle of the restore; somebody takes the run back and types the command again."""
    argv = drill.stack.rollback_argv(*drill.scenario.command, "--yes")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not drill.stack.sql(RESTORING):
            if process.poll() is not None or time.monotonic() > deadline:
                raise MachineryError("the restore was over before PostgreSQL could be killed")
            time.sleep(POLL_SECONDS)
        with drill.scenario.fault.away():  # type: ignore[attr-defined]
            drill.stack.compose("kill", "--signal", "KILL", "db").check()
            drill.stack.compose("up", "-d", "--wait", "db").check()
        process.wait(LIMIT_SECONDS)
    drill.findings.append(finding("it says so", process.returncode in (REFUSED, NOT_PUT_BACK), f"{process.returncode}"))
    if process.returncode == NOT_PUT_BACK:
        aborted = drill.stack.rollback("abort", "--yes")
        drill.findings.append(finding("abort", aborted.good, aborted.stderr))
    left = drill.stack.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'spheroseg_%'")
    drill.findings.append(finding("nothing is half done", left == 0, f"{left} databases beside the live one"))
    return drill.stack.rollback(*drill.scenario.command, "--yes")


@pytest.mark.exhaustive("database-killed-swapping is the harder one")
@pytest.mark.trust
@pytest.mark.drill(id="database-postgresql-killed", **FACTS)
def test_postgresql_killed_in_the_restore(drill: Bench) -> None:
    """PostgreSQL dies while the backup is being restored: the live database is what it was, and the next try works."""
    drill(restored(operator=while_postgresql_dies))


@pytest.mark.trust
@each("name", "database-killed", KILLS, FACTS, why="the kill in the swap is the harder one", always={"swapping"})
def test_operator_killed_in_the_restore(drill: Bench, name: str) -> None:
    """Killed in the course of a step, there is always a database of that name; resume reaches the end."""
    # in one of them users only read from the beginning, as the operator may ask for
    asked = ("--read-only",) if name == "restoring" else ()
    drill(restored(operator=KilledOperator(Kill(KILLS[name]), "resume"), command=("database", "latest", *asked)))
