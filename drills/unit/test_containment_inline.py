"""What Compose makes of env files, and secrets that its files hold themselves, as the installed Compose reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rollback import settings
from rollback.composing import Compose
from rollback.containment.inline import unhandled
from rollback.containment.keyring import pairs, text_of
from rollback.containment.rotation import Rotation
from rollback.deployment import Deployment
from rollback.engine import Engine
from rollback.outcome import Refused
from rollback.procedures.containment_survey import survey

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"

#: However a line is written; Compose says what is its key, and what its value.
WRITTEN = r"""\ufeffFIRST=1
PLAIN = x
COMMENT=x # live
NEAR=x#live
TAB=x	#tab
BEGINS= #hash
QUOTED="y # y" # live
SINGLE='y'# live
COLON: a=b
TIGHT:a
export OUT=1
export FAR: 2
WITH-DASH=1
WITH.DOT=1
URL=redis://h:1/0 # live
WINDOWS=z\r
LAST=1"""

COMPOSE = """services:
  web:
    image: x
    env_file: [known.env, strange.env]
    environment:
      JWT_SECRET: ${JWT_SECRET:?is not set}
      DATABASE_URL: postgresql://u:${DB_PASSWORD}@h/db
      TYPED_SECRET: typed
      DEFAULT_TOKEN: ${NOWHERE:-typed}
      DOLLAR_TOKEN: $$JWT_SECRET
      SIGNED_IN: postgresql://u:typed@h/db
      KEPT_TOKEN: typed
      EMPTY_TOKEN: ""
      PLAIN: typed
  job:
    image: x
    environment: [JWT_SECRET, OTHER_SECRET, "JOB_SECRET=typed", PLAIN=x]
    secrets: [jwt, handed, kept]
secrets:
  jwt: {file: ./jwt.txt}
  handed: {environment: JWT_SECRET}
  kept: {file: ./jwt.txt}
"""
TABLE = {"JWT_SECRET": "random", "DB_PASSWORD": "database", "KEPT_TOKEN": "keep", "kept": "keep"}


def model(folder: Path, text: str, *, as_written: bool) -> dict[str, Any]:
    """What Compose makes of it."""
    (folder / "compose.yml").write_text(text, encoding="utf-8")
    compose = Compose(folder, (folder / "compose.yml",))
    found: dict[str, Any] = json.loads(
        Engine(folder).ask(compose.config_as_written() if as_written else compose.config())
    )
    return found


def test_env_files_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    """A line that it reads and we do not is a secret that is not rotated."""
    (tmp_path / "a.env").write_bytes(WRITTEN.encode().decode("unicode_escape").encode())
    found = model(tmp_path, "services: {a: {image: x, env_file: a.env}}", as_written=False)
    read = dict(pairs(text_of(tmp_path / "a.env")))
    assert read == found["services"]["a"]["environment"]
    assert len(read) == WRITTEN.count("\n") + 1


@pytest.mark.parametrize("name", ["docker-compose.yml", "monitoring/docker-compose.monitoring.yml"])
def test_the_reference_holds_none(name: str) -> None:
    """Each of its secrets is in an env file, or said to be changed by hand."""
    loaded, file = settings.load(REFERENCE), REFERENCE / name
    written = json.loads(Engine(REFERENCE).ask(Compose(file.parent, (file,)).config_as_written()))
    env_files = [REFERENCE / one for one in loaded.compose.env_files]
    assert unhandled([written], env_files, loaded.containment.secrets) == []


def test_secrets_of_the_compose_files_are_found(tmp_path: Path) -> None:
    """Whatever does not come from an env file that is rotated: typed, by default, from another file."""
    (tmp_path / ".env").write_text("JWT_SECRET=a\nDB_PASSWORD=b\n", encoding="utf-8")
    (tmp_path / "known.env").write_text("API_KEY=c\n", encoding="utf-8")
    (tmp_path / "strange.env").write_text("JWT_SECRET=d\nKEPT_TOKEN=e\nPORT=1\n", encoding="utf-8")
    written = model(tmp_path, COMPOSE, as_written=True)
    assert unhandled([written], [tmp_path / ".env", tmp_path / "known.env"], TABLE) == [
        "OTHER_SECRET of the service job",
        "JOB_SECRET of the service job",
        "DEFAULT_TOKEN of the service web",
        "DOLLAR_TOKEN of the service web",
        "SIGNED_IN of the service web",
        "TYPED_SECRET of the service web",
        f"JWT_SECRET of the service web in {tmp_path / 'strange.env'}",
        "the Compose secret jwt",
    ]


def test_a_rotation_is_asked_with_both_sets_of_compose_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the application, and those of its monitoring stack, whose exporter signs in at the database."""

    def possible(_: Rotation, *models: dict[str, Any]) -> list[str]:
        raise Refused(", ".join(next(iter(one["services"])) for one in models))

    monkeypatch.setattr(Rotation, "possible", possible)
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    for name in ("docker-compose.yml", "monitoring/docker-compose.monitoring.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"services: {{of-{Path(name).stem}: {{image: x}}}}", encoding="utf-8")
    with pytest.raises(Refused, match=r"^of-docker-compose, of-docker-compose\.monitoring$"):
        survey(Deployment.load(tmp_path), ("rotate",), "run")
