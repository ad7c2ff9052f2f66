"""Secrets in env files, what is revoked for good, when a deployment is shut, and what a breach is undone from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback import settings
from rollback.containment import source
from rollback.containment.door import Door
from rollback.containment.evidence import _outermost
from rollback.containment.isolation import Isolation
from rollback.containment.keyring import Keyring, Revoked, pairs, rewritten, unnamed
from rollback.containment.renewal import Renewal
from rollback.containment.revocation import Revocation, nothing_older
from rollback.containment.standing import Home, Standing, refuse_others
from rollback.containment.ways import questions_leave
from rollback.database.backup.desk import Desk
from rollback.outcome import Failed, Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = {
    "JWT_SECRET": "random",
    "OTHER_SECRET": "random",
    "POSTGRES_PASSWORD": "database",
    "DATABASE_URL": "database",
    "ACCESS_TOKEN_SECONDS": "keep",
}
RING = Keyring({"JWT_SECRET": "j/+1", "OTHER_SECRET": "o1", "database": "d/1@"})

LINES = {
    "plain": ("JWT_SECRET=old", "JWT_SECRET=j/+1"),
    "exported": ("  export JWT_SECRET = old", "  export JWT_SECRET = j/+1"),
    "quoted": ('JWT_SECRET="old # 1"', 'JWT_SECRET="j/+1"'),
    "quoted with a comment": ("JWT_SECRET='old'  # 1", "JWT_SECRET='j/+1'  # 1"),
    "quotes within": (r'JWT_SECRET="o\"ld" # 1', 'JWT_SECRET="j/+1" # 1'),
    "a comment behind": ("JWT_SECRET=old #1", "JWT_SECRET=j/+1 #1"),
    "no comment behind": ("JWT_SECRET=old#1", "JWT_SECRET=j/+1"),
    "colon": ("JWT_SECRET: old:1", "JWT_SECRET: j/+1"),
    "first of a Windows editor": ("\ufeffJWT_SECRET=old", "\ufeffJWT_SECRET=j/+1"),
    "line of another kind": ("JWT_SECRET=old\x85A=b", "JWT_SECRET=j/+1"),
    "windows": ("JWT_SECRET=old\r", "JWT_SECRET=j/+1\r"),
    "password": ("POSTGRES_PASSWORD=p", "POSTGRES_PASSWORD=d/1@"),
    "url": ("DATABASE_URL=postgresql://u:p@db:5432/s?x=1", "DATABASE_URL=postgresql://u:d%2F1%40@db:5432/s?x=1"),
    "quoted url": ("DATABASE_URL='postgresql://u:p$@db/s'", "DATABASE_URL='postgresql://u:d%2F1%40@db/s'"),
    "url with a comment": (
        'DATABASE_URL="postgresql://u:p@h/s" # a@b',
        'DATABASE_URL="postgresql://u:d%2F1%40@h/s" # a@b',
    ),
    "url in which nobody signs in": ("DATABASE_URL=postgresql://db:5432/s", "DATABASE_URL=postgresql://db:5432/s"),
    "kept": ("ACCESS_TOKEN_SECONDS=900", "ACCESS_TOKEN_SECONDS=900"),
    "another key": ("MY_JWT_SECRET=old", "MY_JWT_SECRET=old"),
    "a comment": ("# JWT_SECRET=old", "# JWT_SECRET=old"),
    "not a pair": ("JWT_SECRET", "JWT_SECRET"),
}


@pytest.mark.parametrize(("before", "after"), LINES.values(), ids=LINES)
def test_a_line_gets_its_new_value_and_nothing_else(before: str, after: str) -> None:
    """However it is written, the value is another one, and every other byte of the file is what it was."""
    text = f"# head\n\n{before}\nA=b"
    assert rewritten(text, TABLE, RING) == f"# head\n\n{after}\nA=b"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("DATABASE_URL=postgresql://u@db/s", "URL of DATABASE_URL has no password"),
        ("JWT_SECRET=https://hooks.example/T0/B0", "URL of JWT_SECRET has no password"),
        ('JWT_SECRET="of two\nlines"', "JWT_SECRET does not end in its line"),
    ],
)
def test_what_cannot_be_changed_is_refused(line: str, why: str) -> None:
    """The operator has to decide."""
    with pytest.raises(Refused, match=why):
        rewritten(f"{line}\n", TABLE, RING)


def test_what_is_rewritten_is_read_back() -> None:
    """The pairs of a file are its secrets: of a URL the password, decoded."""
    text = rewritten("JWT_SECRET=a\nDATABASE_URL=postgresql://u:p@db/s\nPOSTGRES_PASSWORD=x\n", TABLE, RING)
    assert dict(pairs(text)) == {"JWT_SECRET": "j/+1", "DATABASE_URL": "d/1@", "POSTGRES_PASSWORD": "d/1@"}


def test_new_values_are_strong_their_own_and_made_once(tmp_path: Path) -> None:
    """Each random key has a value of its own, the database has one; a run that goes on has the same, 0600."""
    first = Keyring.made(tmp_path / "run", TABLE)
    assert sorted(first.values) == ["JWT_SECRET", "OTHER_SECRET", "database"]
    assert len(set(first.values.values())) == 3
    assert all(len(one) >= 43 for one in first.values.values())
    assert Keyring.made(tmp_path / "run", TABLE).values == first.values
    assert Keyring.path(tmp_path / "run").stat().st_mode & 0o777 == 0o600
    assert Keyring.made(tmp_path / "other", TABLE).values["database"] != first.values["database"]


def test_a_secret_that_nobody_has_named_is_found(tmp_path: Path) -> None:
    """What looks like a secret is named or told; an empty value and a harmless key are neither."""
    (tmp_path / ".env").write_text("JWT_SECRET=a\nSMTP_PASSWORD=b\nEMPTY_TOKEN=\nPORT=1\nACCESS_TOKEN_SECONDS=9\n")
    assert unnamed([tmp_path / ".env", tmp_path / "gone"], TABLE) == ["SMTP_PASSWORD"]


def test_what_was_revoked_is_known_again_and_not_readable(tmp_path: Path) -> None:
    """A revoked value is found under whatever secret it stands, plain or in a URL; the file does not tell it."""
    revoked = Revoked(tmp_path / "revoked.json", {"A": "random", "KEPT_TOKEN": "keep"})
    env = tmp_path / ".env"
    text = "A=hunter2hunter2\nB_DSN=redis://:p%40ss-word@redis/0\nC_TOKEN=fine\n"
    env.write_text(f"{text}SOME_USER=hunter2hunter2\nKEPT_TOKEN=hunter2hunter2\n")
    assert revoked.keys_in(env) == {}
    revoked.add(["hunter2hunter2"])
    revoked.add(["p@ss-word", ""])
    assert sorted(revoked.keys_in(env)) == ["A", "B_DSN"]
    text = (tmp_path / "revoked.json").read_text()
    assert "hunter2" not in text
    assert "p@ss-word" not in text
    assert (tmp_path / "revoked.json").stat().st_mode & 0o777 == 0o600


def deployment(tmp_path: Path, **table: Any) -> Any:
    """As much of one as these parts ask for."""
    edge = SimpleNamespace(service="edge", http_port=80, https_port=443)
    allow = SimpleNamespace(allow=["192.0.2.7", "198.51.100.0/24"], retry_after=120)
    settings = SimpleNamespace(edge=edge, containment=allow, monitoring=SimpleNamespace(files=[]))
    return SimpleNamespace(state=tmp_path, project="p", settings=settings, **table)


def test_a_shut_deployment_refuses_everything_else(tmp_path: Path) -> None:
    """While it is shut only containment goes on; where everybody was at home survives to be read."""
    one = deployment(tmp_path)
    refuse_others(one, "application", "contain")
    standing = Standing("2025-01-01T00:00:00+00:00", {"c1": [Home("n", ["db"], None)]}, ["127.0.0.1:80:80/tcp"])
    standing.write(one)
    assert Standing.read(one) == standing
    refuse_others(one, "contain", "contain")
    with pytest.raises(Refused, match=r"isolated since 2025-01-01") as stop:
        refuse_others(one, "application", "contain")
    # nothing else brings containers back that are gone meanwhile
    assert "`rollback contain reopen`; where its containers are gone, `rollback contain rotate`" in stop.value.next_step


def test_the_doorkeeper_lets_nobody_in_but_operators(tmp_path: Path) -> None:
    """Addresses of the allow-list are led to the edge, all others get 503; TLS only with a certificate."""
    text = Door(deployment(tmp_path), "p_contained").configuration(tls=True)
    assert "default 0;\n    192.0.2.7 1;\n    198.51.100.0/24 1;\n" in text
    assert "if ($operator = 0) { return 503; }" in text
    assert "add_header Retry-After 120 always;" in text
    assert "listen 443 ssl" in text
    plain = Door(deployment(tmp_path), "p_contained").configuration(tls=False)
    assert " ssl" not in plain
    assert "https" not in plain


def test_an_operator_who_comes_by_tls_is_led_on_by_tls(tmp_path: Path) -> None:
    """An edge that sends everybody from HTTP to TLS would send him in circles; the edge is told how he came."""
    text = Door(deployment(tmp_path), "p_contained").configuration(tls=True)
    assert "map $scheme $edge {\n    http http://edge:80;\n    https https://edge:443;\n  }\n" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text


def test_an_operator_who_adds_his_address_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doorkeeper that stands there was told of others: it does not hold any more, and is made anew."""
    one = deployment(tmp_path)
    door = Door(one, "p_contained")
    monkeypatch.setattr(Door, "_ports", lambda _: [("80", "127.0.0.1:1")])
    monkeypatch.setattr("rollback.containment.door._asked", lambda *_, **__: "")
    door.folder.mkdir()
    (door.folder / "nginx.conf").write_text(door.configuration(tls=False))
    assert door.reading().holds
    one.settings.containment.allow.append("203.0.113.7")
    assert "says otherwise since" in door.reading().seen
    assert not door.reading().holds


@pytest.mark.parametrize(
    ("networks", "ports", "astray"),
    [
        (["p_contained"], {}, False),
        ([], {}, False),
        (["p_default"], {}, True),
        (["p_contained", "p_default"], {}, True),
        (["p_contained"], {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}, True),
    ],
)
def test_who_is_astray(tmp_path: Path, networks: list[str], ports: dict[str, Any], *, astray: bool) -> None:
    """Inside means in the closed network alone, with no port open."""
    raw = {"HostConfig": {}, "NetworkSettings": {"Networks": {name: {} for name in networks}, "Ports": ports}}
    assert Isolation(deployment(tmp_path))._is_astray(raw) is astray  # noqa: SLF001 -- the rule itself


def told(out: str) -> Any:
    """An engine that names a container, and says this of it."""
    return SimpleNamespace(ask=lambda _: "c1\n", run=lambda _: SimpleNamespace(out=out, err="", code=1))


def test_containers_of_which_the_engine_says_nothing_are_not_shut_in(tmp_path: Path) -> None:
    """Nobody seen outside is no proof where nobody was seen at all."""
    with pytest.raises(Failed, match="tells nothing of the deployment's containers"):
        Isolation(deployment(tmp_path, engine=told("[]"))).inside()


@pytest.mark.parametrize(("networks", "holds"), [({}, False), ({"p_default": {}}, True)], ids=["nowhere", "at home"])
def test_who_is_in_no_network_is_not_at_home(tmp_path: Path, networks: dict[str, Any], *, holds: bool) -> None:
    """Open means that everybody who runs can be reached again."""
    raw = {"Name": "/p-db-1", "Config": {"Labels": {}}, "State": {"Running": True}, "HostConfig": {},
           "NetworkSettings": {"Networks": networks}}  # fmt: skip
    now = Isolation(deployment(tmp_path, engine=told(json.dumps([raw])))).opened()
    assert (now.holds, "p-db-1" in now.seen) == (holds, not holds)


@pytest.mark.parametrize(
    ("version", "resolver", "leave"),
    [
        ("20.10.24+dfsg1", "nameserver 127.0.0.53\n", True),
        ("20.10.24+dfsg1", "# 127.0.0.53\nnameserver 192.0.2.53\n", False),
        ("23.0.11", "nameserver 127.0.0.53\n", False),
        ("24.0.9", "nameserver 127.0.0.53\n", True),
        ("25.0.4", "options edns0\n nameserver ::1\n", True),
        ("25.0.5", "nameserver 127.0.0.53\n", False),
        ("28.2.2", "nameserver 127.0.0.53\n", False),
        ("unknown", "nameserver 127.0.0.53\n", True),
    ],
)
def test_questions_for_names_leave_by_older_engines(version: str, resolver: str, *, leave: bool) -> None:
    """Where the host's resolver listens on itself, an older engine asks it for whoever is shut in."""
    assert questions_leave(version, resolver) is leave


def test_a_half_made_replacement_is_never_started(tmp_path: Path) -> None:
    """Beside its predecessor it goes; without one it gets the name; whoever has his own name is left alone."""
    asked: list[list[str]] = []
    old, lone = "0abcbb0d208e" + "0" * 52, "32fe787b6313"
    there = [
        SimpleNamespace(id=old, name="p-db-1", one_off=False),
        SimpleNamespace(id="n1", name=f"{old[:12]}_p-db-1", one_off=False),
        SimpleNamespace(id="n2", name=f"{lone}_p-redis-1", one_off=False),
        SimpleNamespace(id="n3", name=f"{old[:12]}_p-db-1-tool", one_off=True),
    ]
    one = deployment(tmp_path, containers=lambda: there, engine=SimpleNamespace(ask=asked.append))
    Renewal(one, {})._tidy()  # noqa: SLF001 -- the rule itself
    assert asked == [["docker", "rm", "--force", "n1"], ["docker", "rename", "n2", "p-redis-1"]]


@pytest.mark.parametrize(
    ("services", "before", "seen"),
    [
        (["backend", "backend", "db", "redis"], {}, "4 of 4 healthy"),
        (["backend", "backend", "db"], {}, "without a container: redis"),
        (["backend", "db"], {"db": ["c1"]}, "of before: p-db-1; without a container: redis"),
        (["backend", "db", "redis"], {"db": ["c1"]}, "of before: p-db-1"),
    ],
    ids=["two of one", "two of one for one that is missing", "missing and of before", "of before"],
)
def test_every_service_is_made_anew(
    tmp_path: Path, services: list[str], before: dict[str, list[str]], seen: str
) -> None:
    """By its name: a second container of another one does not stand for it."""
    there = [
        SimpleNamespace(
            id=f"c{number}", name=f"p-{one}-{number}", service=one, config_hash="h", one_off=False, well=True
        )
        for number, one in enumerate(services)
    ]
    hashes = dict.fromkeys(("backend", "db", "redis"), "h")
    one = deployment(tmp_path, containers=lambda: there, hashes=lambda _: hashes, compose=None)
    now = Renewal(one, before).anew()
    assert (now.seen, now.holds) == (seen, seen.endswith("healthy"))


def test_only_what_changed_is_copied() -> None:
    """A folder that was added comes once, with all that is in it; folders that are only on the way do not.

    What was changed comes first: any number of files can be added to push it out.
    """
    listed = ["C /tmp", "A /tmp/x", "A /tmp/x/y", "C /etc", "C /etc/passwd", "D /bin/ls", "C /bin"]
    assert _outermost(listed, []) == ["/etc/passwd", "/tmp/x"]  # noqa: S108 -- in a container


def test_what_is_mounted_is_not_copied_with_what_changed() -> None:
    """An exporter has the host's root at /host: the engine made the folder, and would copy all of the host from it."""
    listed = ["A /host", "C /etc", "A /etc/team", "A /etc/team/app.conf", "A /etc/team/note", "C /run", "A /hosts"]
    assert _outermost(listed, ["/host", "/etc/team/app.conf", "/run/secrets"]) == ["/etc/team/note", "/hosts"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("yesterday", "is no time"), ("2999-01-01", "yet to come"), ("2025-01-31T14:00:00+01:00", ""), ("2025-01-31", "")],
)
def test_an_instant(text: str, wrong: str) -> None:
    """A time that is none, or yet to come, is wrong usage; without a zone it is UTC."""
    if wrong:
        with pytest.raises(UsageError, match=wrong):
            source.instant(text)
    else:
        assert source.instant(text).tzinfo is not None


def backup(hours: float, *, proven: bool = True, encrypted: bool = True) -> Any:
    """One on the shelf, so many hours old."""
    found = SimpleNamespace(id=f"B{hours:g}", at=datetime.now(UTC) - timedelta(hours=hours), encrypted=encrypted)
    return SimpleNamespace(id=found.id, manifest=lambda: found, proven=lambda: proven)


@pytest.mark.parametrize(
    ("shelf", "plain", "wanted"),
    [
        ([backup(9), backup(5), backup(1)], False, "B5"),
        ([backup(9), backup(5, proven=False), backup(1)], False, "B9"),
        ([backup(9), backup(5, encrypted=False)], False, "B9"),
        ([backup(9), backup(5, encrypted=False)], True, "B5"),
        ([backup(1)], False, None),
        ([], False, None),
    ],
)
def test_the_backup_is_older_than_the_compromise(
    monkeypatch: pytest.MonkeyPatch, shelf: list[Any], wanted: str | None, *, plain: bool
) -> None:
    """The newest one that is older, proven and sealed; where there is none it is said why."""
    desk = SimpleNamespace(shelf=SimpleNamespace(all=lambda: shelf))
    monkeypatch.setattr(Desk, "of", lambda _deployment: desk)
    before, one = datetime.now(UTC) - timedelta(hours=2), SimpleNamespace()
    if wanted is None:
        with pytest.raises(Refused, match=r"No backup is older than .*(is younger|there is none)"):
            source.backup(one, before, plain=plain)  # type: ignore[arg-type]
    else:
        assert source.backup(one, before, plain=plain).id == wanted  # type: ignore[arg-type]


def test_what_is_older_than_a_containment_is_refused(tmp_path: Path) -> None:
    """A full backup of before would open the hole; one of afterwards does not, and without a containment all do."""
    one, decreed = deployment(tmp_path), datetime(2025, 1, 2, tzinfo=UTC)
    nothing_older(one, "The archive x", decreed)
    (tmp_path / "revocations.json").write_text(json.dumps([{"run": "r", "at": decreed.isoformat()}]))
    nothing_older(one, "The archive x", decreed + timedelta(seconds=1))
    with pytest.raises(Refused, match="The archive x is of before the containment of 2025-01-02"):
        nothing_older(one, "The archive x", decreed - timedelta(seconds=1))


GOOD = (Path(__file__).parents[2] / "fixtures/spheroseg/rollback.toml").read_text(encoding="utf-8")
WRONG: dict[str, Callable[[str], str]] = {
    "lies in the checkout": lambda text: text.replace("../spheroseg-evidence", "evidence"),
    "allow holds `everybody`": lambda text: text.replace("allow = []", 'allow = ["everybody"]'),
    "is no table and column": lambda text: text.replace('"revoked_at"', '"revoked_at = now(); --"'),
    "containment.secrets.JWT_SECRET": lambda text: text.replace('JWT_SECRET = "random"', 'JWT_SECRET = "guess"'),
}


@pytest.mark.parametrize(("said", "edit"), WRONG.items(), ids=WRONG)
def test_a_wrong_line_of_the_table_is_named(tmp_path: Path, said: str, edit: Callable[[str], str]) -> None:
    """What cannot be meant is refused before anything is done, with what is allowed."""
    (tmp_path / settings.FILE).write_text(edit(GOOD), encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        settings.load(tmp_path)


def test_the_reference_names_each_of_its_secrets() -> None:
    """No env file of the reference has a secret of which nobody has said what becomes of it."""
    root = Path(__file__).parents[2] / "fixtures/spheroseg"
    loaded = settings.load(root)
    assert unnamed([root / one for one in loaded.compose.env_files], loaded.containment.secrets) == []
    assert json.dumps(loaded.containment.secrets)


@pytest.mark.parametrize("said", ["LOADING Redis is loading the dataset in memory", "NOPERM no permissions", ""])
def test_sessions_are_ended_where_redis_says_how_many(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else it says is a refusal."""
    table = SimpleNamespace(redis="redis", session_keys=["session:*"])
    there: Any = SimpleNamespace(settings=SimpleNamespace(containment=table))
    one = Revocation(there, "run")
    monkeypatch.setattr(Revocation, "_redis", lambda *_: "3")
    one._sessions()  # noqa: SLF001 -- all else of it needs a database
    monkeypatch.setattr(Revocation, "_redis", lambda *_: said)
    with pytest.raises(Failed, match="did not end the sessions"):
        one._sessions()  # noqa: SLF001 -- all else of it needs a database
