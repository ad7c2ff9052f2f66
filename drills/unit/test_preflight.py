"""The record before a rollback: no secret is in it, and how bad it is follows from what is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rollback import cli
from rollback.commandline import preflight as command
from rollback.deployment import Deployment
from rollback.documents import incident, postmortem
from rollback.documents.severity import Derived, Seen, derived
from rollback.journal import Entry, Journal
from rollback.procedures.preflight import plan
from rollback.secrets import MASK, Redactor, of_deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImV4cCI6MTc5OX0.Zm9vYmFyYmF6cXV4cXV1eA"
ARGON = "$argon2id$v=19$m=19456,t=2,p=1$9gsOtbk1g6bmxc4XWfZPdA$pYshvhZnNWMn6R229Siq3yMQ3cQulIkbaTSNw26l7tE"
BCRYPT = "$2b$12$abcdefghijklmnopqrstuuJ0Q3Nc1sB4lVxZ9mYwT7rE5dKpGhO2i"
SCRAM = "SCRAM-SHA-256$4096:c2FsdHNhbHQ=$c3RvcmVkS2V5:c2VydmVyS2V5"
AGE = "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQQPZRY9X8GF2TVDW0S"

#: A line as it stands in a log, and what of it must not be told.
LINES = {
    "access token of a websocket": (f'GET /api/ws/jobs/1?token={JWT} HTTP/1.1" 101', JWT),
    "authorization header": (f"authorization: Bearer {JWT}", JWT),
    "authorization in JSON": (f'{{"Authorization": "Bearer {JWT}", "path": "/x"}}', JWT),
    "basic authorization": ("Authorization: Basic cm9vdDpodW50ZXIy", "cm9vdDpodW50ZXIy"),
    "opaque bearer": ("sent Bearer 0a1b2c3d4e5f6071 to ml", "0a1b2c3d4e5f6071"),
    "refresh token in JSON": ('{"refresh_token": "q7Wk-93jsLmX", "status": 200}', "q7Wk-93jsLmX"),
    "JSON within a string": (r'body "{\"password\": \"correct-horse\"}" refused', "correct-horse"),
    "password in a form": ("email=a%40b.c&password=correct-horse&x=1", "correct-horse"),
    "password as YAML": ("db_password: correct-horse", "correct-horse"),
    "cookie": ("Cookie: session=abcdef123456; theme=dark", "abcdef123456"),
    "set-cookie": ("set-cookie: sid=s%3Aabcdef123456; HttpOnly", "abcdef123456"),
    "URL of the database": ("connect postgresql://postgres:pr0duct10n@db:5432/spheroseg failed", "pr0duct10n"),
    "URL of Redis": ("redis://:pr0duct10n@redis:6379/0", "pr0duct10n"),
    "argon2": (f"DETAIL: row ({ARGON}, null)", ARGON.rpartition("$")[2]),
    "bcrypt": (f"hash {BCRYPT} is weak", BCRYPT[7:]),
    "scram": (f"ALTER ROLE x PASSWORD '{SCRAM}'", "c3RvcmVkS2V5"),
    "age": (f"identity {AGE}", AGE),
    "AWS": ("key AKIAIOSFODNN7EXAMPLE refused", "AKIAIOSFODNN7EXAMPLE"),
    "GitHub": ("remote: ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    "Slack": ("xoxb-123456789012-abcdefGHIJKL", "123456789012-abcdefGHIJKL"),
    "API key": ("x-api-key: 8f14e45fceea167a", "8f14e45fceea167a"),
}


@pytest.mark.parametrize(("line", "secret"), LINES.values(), ids=LINES)
def test_a_secret_is_masked_by_what_it_looks_like(line: str, secret: str) -> None:
    """Nobody has to know it; said twice nothing more is masked."""
    said = Redactor(()).thorough(f"before\n{line}\nafter\n")
    assert secret not in said
    assert "[secret" in said
    assert said.startswith("before\n")
    assert said.endswith("\nafter\n")
    assert Redactor(()).thorough(said) == said


def test_a_private_key_is_masked_whole() -> None:
    """Over all its lines, whole or cut off; what stands around it stays."""
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(*form).decode()
    assert Redactor(()).thorough(f"a\n{key}b") == "a\n[secret: private key]\nb"
    assert Redactor(()).thorough(f"a\n{key[:90]}") == "a\n[secret: private key]"


@pytest.mark.parametrize(
    "line",
    [
        "the access token is not valid",
        'password authentication failed for user "postgres"',
        "token bucket: 12 of 50 left",
        "POST /api/auth/password 204",
        '{"level": "INFO", "path": "/api/projects", "status": 200, "ms": 5.9}',
        "refresh_tokens: 12345 rows",
        "max_tokens=5000 secret=true",
        "sha256:1fd42a4779dd3346eb345ec3",
        "http://db:5432/x and mail to ops@example.org",
        "basic health check ok; bearer of bad news",
    ],
)
def test_what_helps_stays(line: str) -> None:
    """A line that only speaks of secrets is one that an operator at 3 a.m. needs."""
    assert Redactor(()).thorough(line) == line


def test_the_secrets_of_a_real_deployment_are_known(tmp_path: Path) -> None:
    """Those of its env files by name and by look, those of recorded releases, and the password that verify uses."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    for name in (".env", "packages/backend/.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((REFERENCE / name).read_bytes())
    with (tmp_path / ".env").open("a") as file:
        file.write("SMTP_AUTH=Zk3vQ9xLm2Rt7Yw4Bn8Cd\nGREETING=hello-to-everybody-2026\n")
    kept = tmp_path / ".rollback/releases/v3/files/packages/backend/.env"
    kept.parent.mkdir(parents=True)
    kept.write_text("JWT_SECRET=the-secret-of-last-year\n")
    with (tmp_path / "rollback.toml").open("a") as file:
        file.write('\naccount = "v@x"\npassword_file = "pw"\n')
    (tmp_path / "pw").write_text("of-the-account\n")
    redact = of_deployment(Deployment.load(tmp_path))
    text = (
        "development-only-jwt-secret-0123456789abcdef development-only-session-secret-0123456789 postgres:postgres"
        " the-secret-of-last-year of-the-account Zk3vQ9xLm2Rt7Yw4Bn8Cd hello-to-everybody-2026 v4.0.0 production"
    )
    assert redact(text) == f"{MASK} {MASK} {MASK}:{MASK} {MASK} {MASK} {MASK} hello-to-everybody-2026 v4.0.0 production"


SOUND = Seen(edge=True, database="", released={"backend": True, "ml": True}, unstable=[], schema="", broken=[],
             page=200, api=200)  # fmt: skip
SEVERITIES: dict[str, tuple[dict[str, Any], str, str, list[str]]] = {
    "nothing": ({}, "minor", "nothing that is wrong can be seen from here", []),
    "a service does not start": ({"released": {"backend": True, "ml": False}}, "minor", "ml is not well", ["ml"]),
    "application errors": ({"api": 503}, "minor", "the API's health answers 503", []),
    "no page": ({"page": 0}, "minor", "the page answers nothing", []),
    "schema": ({"schema": "what runs works with 011, and the database is at 012"}, "major", "works with 011", []),
    "damaged data": ({"broken": ["invalid: public.x"]}, "major", "the database: invalid: public.x", []),
    "unstable infrastructure": ({"unstable": ["redis"]}, "major", "redis is not stable", ["redis"]),
    "no edge": ({"edge": False, "page": 0, "api": 0}, "critical", "nobody is served", ["edge"]),
    "no database": ({"database": "it does not run."}, "critical", "cannot be used: it does not run.", ["database"]),
    "nothing runs": ({"released": {"backend": False, "ml": False}}, "critical", "no released service is well",
                     ["backend", "ml"]),
    "the worst counts": ({"unstable": ["redis"], "edge": False}, "critical", "redis is not stable",
                         ["redis", "edge"]),
}  # fmt: skip


@pytest.mark.parametrize(("worse", "severity", "because", "affected"), SEVERITIES.values(), ids=SEVERITIES)
def test_severity_follows_from_what_is_seen(
    worse: dict[str, Any], severity: str, because: str, affected: list[str]
) -> None:
    """The runbook's scenarios; every reason is told, not the deciding one alone."""
    found = derived(replace(SOUND, **worse))
    assert (found.severity, found.affected) == (severity, affected)
    assert because in "; ".join(found.reasons)


MINOR = Derived("minor", ["ml is not well"], ["ml"])


def test_what_is_said_outranks_what_is_seen() -> None:
    """The operator knows of the breach; that it was not seen stays on record."""
    told = command._Said("keys were stolen", ["backend"], [], "critical").told(MINOR)  # noqa: SLF001
    assert told["severity"] == "critical"
    assert told["derived"] == "minor"
    assert told["because"] == "said by the operator; seen: ml is not well"
    silent = command._Said("", [], [], "").told(MINOR)  # noqa: SLF001
    assert silent == {"description": "not described", "affected": ["ml"], "errors": [], "severity": "minor",
                      "derived": "minor", "because": "ml is not well"}  # fmt: skip


def answering(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[str]:
    """Somebody at the terminal who types these lines and then ends the input; the questions that were asked."""
    asked: list[str] = []
    typed: Iterator[str] = iter(lines)

    def answer(question: str = "") -> str:
        asked.append(question)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    return asked


def test_at_a_terminal_what_is_missing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong severity is asked for again; what was said as an option is not asked for."""
    asked = answering(monkeypatch, "uploads fail", "backend, ml", "500", "502", "", "awful", "major")
    said = command._Said("", [], [], "").asked(MINOR, lambda _: None)  # noqa: SLF001
    assert said == command._Said("uploads fail", ["backend", "ml"], ["500", "502"], "major")  # noqa: SLF001
    assert len(asked) == 7
    again = answering(monkeypatch)
    assert command._Said("x", ["y"], ["z"], "minor").asked(MINOR, lambda _: None).description == "x"  # noqa: SLF001
    assert again == []


def test_the_end_of_the_input_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at each question: nothing waits for ever."""
    answering(monkeypatch)
    assert command._Said("", [], [], "").asked(MINOR, lambda _: None) == command._Said("", [], [], "")  # noqa: SLF001


def test_a_wrong_severity_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read; the right words follow."""
    monkeypatch.setattr("sys.argv", ["rollback", "preflight", "--severity", "awful", "-C", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "`awful` is no severity. Next: say minor, major, critical" in capsys.readouterr().err


FACTS = {"run": "p1", "by": "ops@host", "description": "uploads fail", "affected": ["backend"], "errors": ["500"],
         "severity": "major", "derived": "minor", "because": "said", "backup": True, "notify": True}  # fmt: skip


def test_people_are_told_that_a_rollback_starts_and_of_no_end(tmp_path: Path) -> None:
    """A record is no rollback: nobody is told that one was completed."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    deployment = Deployment.load(tmp_path)
    assert plan(deployment, FACTS).tells == ("start",)
    assert plan(deployment, {**FACTS, "notify": False}).tells == ()
    names = [step.name for step in plan(deployment, {**FACTS, "backup": False}).steps]
    assert names == ["state and logs recorded"]
    assert [step.advisory for step in plan(deployment, FACTS).steps] == [False, True]


def journal(folder: Path, *runs: tuple[str, str, dict[str, Any]]) -> list[Entry]:
    """Runs that were done, one after another."""
    one = Journal(folder / "journal.jsonl")
    for run, procedure, arguments in runs:
        one.append(run, "begin", procedure=procedure, arguments=arguments, summary=f"{procedure} of {run}", moves=[])
        one.append(run, "end", outcome="done")
    return one.entries()


PREFLIGHT = ("p1", "preflight", FACTS)
ROLLBACK = ("r1", "application", {"roles": ["backend"], "version": "v3"})


def test_the_rollback_that_follows_is_of_the_incident(tmp_path: Path) -> None:
    """Its severity and its post-mortem have what was said; `latest` is the rollback and not the record."""
    entries = journal(
        tmp_path, ROLLBACK, PREFLIGHT, ("r2", "application", {"roles": ["ml"], "version": "v3"}), PREFLIGHT
    )
    found = incident.find(entries, "latest")
    assert (found.run, found.scenario) == ("r2", "major")
    text = postmortem.written(found, {}, "spheroseg")
    assert "## As it was reported" in text
    assert "- **Issue**: uploads fail" in text
    assert "`runs/p1`" in text
    assert "- **Detected**: first failed request not measured; recorded by ops@host at 20" in text


def test_another_rollback_has_nothing_of_it(tmp_path: Path) -> None:
    """What was said belongs to the next run alone, and not to the one after."""
    entries = journal(tmp_path, PREFLIGHT, ROLLBACK, ("r2", "application", {"roles": ["ml"], "version": "v3"}))
    assert incident.find(entries, "r1").reported == {**FACTS, "at": entries[0].at}
    found = incident.find(entries, "r2")
    assert (found.reported, found.scenario) == (None, "minor")
    assert "As it was reported" not in postmortem.written(found, {}, "spheroseg")


def test_an_incident_of_last_week_is_another_one(tmp_path: Path) -> None:
    """After a day nobody remembers a record."""
    entries = journal(tmp_path, PREFLIGHT, ROLLBACK)
    old = [replace(one, at="2020-01-01T00:00:00+00:00") if one.run == "p1" else one for one in entries]
    assert incident.find(old, "r1").reported is None


def test_what_was_said_is_journalled_without_secrets() -> None:
    """An error message that was pasted in may hold one."""
    assert json.dumps(FACTS) == Redactor(()).thorough(json.dumps(FACTS))
