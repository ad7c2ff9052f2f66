"""Pre-Rollback Checklist: the record holds what it claims, and no secret of the deployment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.case import finding
from fixtures.checks.residue import Allowed
from fixtures.command import run
from fixtures.faults import candidates
from fixtures.faults.candidates import GOOD
from fixtures.mailbox import TOKEN, open_mailbox
from fixtures.scenario import AFTER_APPLICATION, OBJECTIVE, Scenario

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.mailbox import Mailbox
    from fixtures.stack import Stack
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.aftermath]

SECTION = "Pre-Rollback Checklist"
ISSUE = "a third of the requests fail since the deployment"
#: Tokens that no file of the deployment has, in what somebody pastes into the command.
UNKNOWN = ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmVk", "0f9e8d7c6b5a-typed")
PASTED = f"401 for Authorization: Bearer {UNKNOWN[0]}, api_token={UNKNOWN[1]}"
SERVICES = {"nginx-prod", "frontend-prod", "backend", "ml", "db", "redis"}
FILES = {"record.md", "state.json", "incident.json", "safety.dump", "safety.sha256"}
NOT_WHOLE = 50


def subscribed(drill: Drill, box: Mailbox) -> None:
    """The team wants to be told."""
    targets = drill.stack.checkout / ".rollback/notify.conf"
    targets.write_text(box.url(), encoding="utf-8")
    targets.chmod(0o600)
    settings = drill.stack.checkout / "rollback.toml"
    line = '[notify]\ntargets_file = ".rollback/notify.conf"\n'
    settings.write_text(settings.read_text(encoding="utf-8").replace("[notify]\n", line), encoding="utf-8")


def blabbed(stack: Stack) -> list[str]:
    """A service that writes its secrets into its log, as some do in an outage; gives back what it wrote."""
    held = stack.compose("exec", "-T", "ml", "printenv").check().stdout
    told = [line for line in held.splitlines() if line.partition("=")[0] in ("JWT_SECRET", "DATABASE_URL")]
    assert len(told) == 2
    script = 'printenv JWT_SECRET DATABASE_URL > /proc/1/fd/1; echo "Authorization: Bearer $0" > /proc/1/fd/1'
    stack.compose("exec", "-T", "ml", "sh", "-c", script, "0a1b2c3d4e5f60718293").check()
    return [*(line.partition("=")[2] for line in told), "0a1b2c3d4e5f60718293"]


def recorded(drill: Drill, box: Mailbox) -> None:
    """The operator records the incident, and only then rolls back."""
    subscribed(drill, box)
    spoken = blabbed(drill.stack)
    password = drill.stack.secrets["POSTGRES_PASSWORD"]
    outcome = drill.stack.rollback(
        "preflight", "-m", ISSUE, "--error", f"FATAL: password {password} is wrong", "--error", PASTED,
        "--severity", "major", "--json",
    )  # fmt: skip
    drill.findings += list(judged(drill, outcome, {*drill.stack.secrets.values(), *spoken, TOKEN, *UNKNOWN}))
    drill.findings.append(
        finding("one is told", [one["title"].count("Rollback Started") for one in box.letters] == [1], f"{box.letters}")
    )


def judged(case: Case, outcome: Outcome, secrets: set[str]) -> list[Finding]:
    """The record against the stack, and every byte of it against the stack's secrets."""
    if outcome.status != 0:
        return [finding("preflight", good=False, text=f"exit {outcome.status}: {outcome.stderr[-600:]}")]
    said = json.loads(outcome.stdout)
    folder = case.stack.checkout / ".rollback/runs" / said["run"]
    texts = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    leaked = [f"{name}: {value[:3]}..." for name, text in texts.items() for value in secrets if value.encode() in text]
    open_to = [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077]
    return [
        finding("secrets", not leaked, f"in the record: {leaked}"),
        finding("masked", b"[secret" in texts.get(log_of(texts, "ml"), b""), "nothing was masked in the log of ml"),
        finding("secrets told", not any(one in outcome.stdout + case.journal() for one in secrets), "in what was said"),
        finding("private", not open_to, f"others can read {open_to}"),
        finding("files", texts.keys() >= FILES, f"{sorted(texts)}"),
        finding("severity", (said["severity"], said["derived"]) == ("major", "minor"), f"{said}"),
        *claimed(case, folder, texts),
    ]


def log_of(texts: dict[str, bytes], service: str) -> str:
    """The name of a service's log."""
    return next((name for name in texts if f"-{service}-" in name and name.endswith(".log")), "")


def claimed(case: Case, folder: Path, texts: dict[str, bytes]) -> list[Finding]:
    """What it says is what is there: services, logs, versions, migration, connections, backup."""
    state: dict[str, Any] = json.loads(texts["state.json"])
    there = {one["service"]: one for one in state["containers"]}
    release = case.scenario.fault.version  # type: ignore[attr-defined]
    ids = case.stack.container_ids()
    same = all(there[name]["id"].startswith(short) for name, short in ids.items() if name in there)
    migration = case.stack.sql("SELECT max(version) FROM schema_migrations")
    dumped = run(
        ["sh", "-c", 'exec docker exec -i "$0" pg_restore -f - < "$1"', ids["db"], str(folder / "safety.dump")]
    )
    missing = [name for name in SERVICES if not log_of(texts, name)]
    record = texts["record.md"].decode()
    errors = json.dumps(state["errors"])
    return [
        finding("services", there.keys() == SERVICES and same, f"{sorted(there)} for {sorted(ids)}"),
        finding("logs", not missing, f"no log of {missing}"),
        finding("errors of the release", "ERROR" in errors and "backend" in errors, errors[:300]),
        finding("versions", state["versions"]["services"].get("backend") == release, f"{state['versions']}"),
        finding("migration", state["database"]["migration"] == migration, f"{state['database']}"),
        finding("connections", sum(one["connections"] for one in state["database"]["connections"]) > 0, "none"),
        finding("host", bool(state["host"]["disks"]) and len(state["host"]["load"]) == 3, f"{state['host']}"),
        finding("incident", ISSUE in record and "Severity**: major" in record, record[:300]),
        finding("backup", dumped.good and "COPY public.projects" in dumped.stdout, dumped.stderr[-300:]),
    ]


def remembered(case: Case) -> list[Finding]:
    """The post-mortem of the rollback that followed has what was said."""
    text = case.postmortem()["text"]
    good = ISSUE in text and "As it was reported" in text and "application rollback" in text
    leaked = [one[:6] for one in UNKNOWN if one in text + case.journal()]
    return [finding("post-mortem", good, text[:600]), finding("nothing typed leaks", not leaked, f"{leaked}")]


@pytest.mark.monthly
@pytest.mark.drill(
    id="preflight-record", section=SECTION, procedure="aftermath", severity="normal", objective=OBJECTIVE
)
def test_the_record_before_a_rollback(drill: Bench) -> None:
    """State, logs, versions, connections and a backup, while users meet errors and a service tells its secrets."""
    with open_mailbox() as box:
        drill(
            Scenario.back_to(
                GOOD,
                candidates.errors(),
                before_command=lambda one: recorded(one, box),
                further=remembered,
                residue=(*AFTER_APPLICATION, Allowed("file rollback.toml", "the team asked to be told")),
            )
        )


def severity(stack: Stack, *words: str, status: int = 0) -> tuple[str, list[str], str]:
    """Severity, affected services and the reasons that the command derives."""
    outcome = stack.rollback("preflight", "--json", "--no-notify", *words)
    assert outcome.status == status, outcome.stderr
    said = json.loads(outcome.stdout)
    return said["severity"], said["affected"], said["because"]


@pytest.mark.exhaustive("the rule has its unit tests")
def test_severity_is_read_from_a_real_deployment(stack: Stack) -> None:
    """Minor, major, critical, as one service after another goes away; the record is taken whatever is down."""
    stack.prepare()
    stack.start(GOOD)
    assert severity(stack, "--no-backup")[:2] == ("minor", [])
    stack.compose("stop", "ml").check()
    found = severity(stack, "--no-backup")
    assert found[:2] == ("minor", ["ml"])
    assert "ml is not well" in found[2]
    stack.compose("stop", "redis").check()
    found = severity(stack, "--no-backup")
    # the backend needs it and is ill as soon as its own health check says so
    assert (found[0], set(found[1]) - {"backend"}) == ("major", {"ml", "redis"})
    stack.compose("stop", "db").check()
    found = severity(stack, status=NOT_WHOLE)
    assert found[0] == "critical"
    assert "the database cannot be used" in found[2]
    stack.compose("stop", "nginx-prod").check()
    found = severity(stack, "--no-backup")
    assert found[0] == "critical"
    assert "nobody is served" in found[2]
