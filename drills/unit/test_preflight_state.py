"""The record that every rollback takes by itself: the state of everything, whatever of it can be read."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rollback.deployment import Answer, Deployment
from rollback.documents import preflight
from rollback.documents.preflight import Preflight
from rollback.engine import Engine, Result
from rollback.outcome import Failed
from rollback.secrets import MASK
from rollback.verification import database

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
WORD = "Zk3vQ9xLm2Rt7Yw4Bn8Cd"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preflight:
    """Of a deployment without a container, on an engine that says nothing; its database answers."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    (tmp_path / ".env").write_text(f"DB_PASSWORD={WORD}\n", encoding="utf-8")
    monkeypatch.setattr(Deployment, "containers", lambda _: [])
    monkeypatch.setattr(Deployment, "migrations", lambda _: ["011", "012"])
    monkeypatch.setattr(Deployment, "sql", lambda *_: '{"max_connections": 7}')
    monkeypatch.setattr(database, "asked", lambda *_: [])
    monkeypatch.setattr(Deployment, "through_edge", lambda *_: Answer(200, "Active connections: 3"))
    monkeypatch.setattr(Engine, "run", lambda *_, **__: Result(1, "", f"no engine, {WORD}"))
    deployment = Deployment.load(tmp_path)
    return Preflight(deployment, deployment.run_folder("r1"))


def taken(record: Preflight) -> dict[str, Any]:
    """What it reads."""
    record.take()
    assert record.reading().holds
    found: dict[str, Any] = json.loads((record.folder / "state.json").read_text(encoding="utf-8"))
    return found


def test_all_of_the_checklist_is_in_it(record: Preflight) -> None:
    """Migration, connections, disks, load, names of variables, how bad it looks; without a secret, for its owner."""
    found = taken(record)
    assert (found["database"]["migration"], found["database"]["max_connections"]) == ("012", 7)
    assert found["edge"] == {"connections": 3, "page": 200}
    assert {"load", "disks", "memory"} <= found["host"].keys()
    assert found["variables"] == {".env": ["DB_PASSWORD"]}
    assert (found["severity"]["severity"], found["severity"]["reasons"][0]) == (
        "critical",
        "the edge does not run: nobody is served",
    )
    text = (record.folder / "state.json").read_text(encoding="utf-8")
    assert (WORD in text, MASK in text) == (False, True)
    assert (record.folder / "state.json").stat().st_mode & 0o077 == 0


def test_what_cannot_be_read_is_noted_and_holds_nothing_up(record: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is gone may be what the rollback is for."""

    def gone(*_: object) -> str:
        raise Failed("The database service `db` is not running.")

    monkeypatch.setattr(Deployment, "sql", gone)
    monkeypatch.setattr(Deployment, "migrations", gone)
    monkeypatch.setattr(Deployment, "through_edge", lambda *_: None)
    found = taken(record)
    assert found["database"] == {"cannot be read": "The database service `db` is not running."}
    assert found["edge"]["cannot be read"].startswith("AttributeError: ")
    assert found["severity"]["reasons"][1] == "the database cannot be used: The database service `db` is not running."


@pytest.fixture
def hanging(record: Preflight, monkeypatch: pytest.MonkeyPatch) -> Iterator[Preflight]:
    """Its database takes the question and gives no answer."""
    over = threading.Event()
    monkeypatch.setattr(Deployment, "migrations", lambda _: [] if over.wait(60) else ["never"])
    monkeypatch.setattr(preflight, "_READING_SECONDS", 0.3)
    yield record
    over.set()


def test_what_hangs_is_not_waited_for(hanging: Preflight) -> None:
    """Users wait for what comes after it."""
    found = taken(hanging)
    assert found["database"] == found["severity"] == {"cannot be read": "no answer within 0.3 s"}
    assert found["edge"]["page"] == 200


def test_of_a_stack_beside_it_the_state_is_that_of_the_deployment(
    record: Preflight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitoring stack has no database and no edge; whoever goes back with it asks how users are served."""
    beside = replace(Deployment.load(tmp_path), known="beside")
    asked: list[str | None] = []

    def through_edge(one: Deployment, *_: object) -> Answer:
        asked.append(one.known)
        return Answer(200, "")

    monkeypatch.setattr(Deployment, "through_edge", through_edge)
    taken(Preflight(beside, record.folder, (), record.deployment))
    assert set(asked) == {record.deployment.known}
