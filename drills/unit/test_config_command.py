"""`rollback config`: recorded outside of a release, compared without telling a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
ENV = "JWT_SECRET=hunter2hunter2\nPORT=5001\nGONE=x\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a file of each part, in a path with a space and an umlaut."""
    root = tmp_path / "check out ü"
    for name, text in {
        "rollback.toml": (REFERENCE / "rollback.toml").read_text(encoding="utf-8"),
        ".env": "A=1\n",
        "packages/backend/.env": ENV,
        "docker-compose.yml": "services: {}\n",
        "nginx/größe mit leer.conf": "limit 1m;\nrest;\n",
        "certbot/conf/live/x/privkey.pem": "-----BEGIN PRIVATE KEY-----\nold\n",
        "monitoring/rules.yml": "alert: a\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_what_was_changed_since_is_told_and_no_secret(rollback: Callable[..., str], checkout: Path) -> None:
    """Text of what may be read, names of variables, and of certificates that they differ."""
    assert rollback("config", "snapshot", "before").startswith("0 before recorded: 6 files")
    assert rollback("config", "diff", "before") == "0 no file differs\n"
    (checkout / "nginx/größe mit leer.conf").write_text("limit 2m;\nrest;\n", encoding="utf-8")
    env = "JWT_SECRET=other-secret-value\nPORT=5001\nNEW=y\n"
    (checkout / "packages/backend/.env").write_text(env, encoding="utf-8")
    (checkout / "certbot/conf/live/x/privkey.pem").write_text("-----BEGIN PRIVATE KEY-----\nnew\n", encoding="utf-8")
    (checkout / "monitoring/rules.yml").chmod(0o600)
    (checkout / "docker-compose.yml").unlink()
    (checkout / "nginx/new.conf").write_text("x;\n", encoding="utf-8")
    said = rollback("config", "diff", "before")
    for line in (
        "environment: packages/backend/.env: content",
        "    ~JWT_SECRET=[secret]",
        "    -GONE=[secret]",
        "    +NEW=[secret]",
        "compose: docker-compose.yml: gone",
        "nginx: nginx/größe mit leer.conf: content",
        "    -limit 1m;",
        "    +limit 2m;",
        "nginx: nginx/new.conf: added",
        "certificates: certbot/conf/live/x/privkey.pem: content",
        "monitoring: monitoring/rules.yml: mode 0644 -> 0600",
        "6 files differ",
    ):
        assert line in said.removeprefix("0 ").splitlines()
    assert not [one for one in ("hunter2", "other-secret", "PRIVATE", "PORT") if one in said]
    document = json.loads(rollback("config", "diff", "before", "--json")[2:])
    assert len(document["differences"]) == 6
    assert "other-secret" not in json.dumps(document)


def test_two_snapshots_are_compared_with_each_other(rollback: Callable[..., str], checkout: Path) -> None:
    """Whatever is there now."""
    rollback("config", "snapshot", "one")
    (checkout / ".env").write_text("A=2\n", encoding="utf-8")
    rollback("config", "snapshot", "two")
    (checkout / ".env").write_text("A=3\n", encoding="utf-8")
    assert "environment: .env: content\n    ~A=[secret]\n1 files differ" in rollback("config", "diff", "one", "two")
    listed = rollback("config", "list").splitlines()
    assert [line.split()[0] for line in listed] == ["0", "two"]


def test_what_cannot_be_is_one_sentence(rollback: Callable[..., str], checkout: Path) -> None:
    """A name that is taken, is none, or could not be a folder; nothing half done stays."""
    rollback("config", "snapshot", "one")
    assert rollback("config", "snapshot", "one").startswith("20 refused: There is a snapshot or a release one already.")
    assert rollback("config", "snapshot", "../out").startswith("2 wrong usage: `../out` cannot be the name")
    told = rollback("config", "diff", "none")
    assert told.startswith("20 refused: There is no snapshot and no release none; there are: one.")
    assert [one.name for one in (checkout / ".rollback/snapshots").iterdir()] == ["one"]
    assert (checkout / ".rollback/snapshots/one").stat().st_mode & 0o077 == 0
