"""A database that only runs is not at hand: without a health check it is asked whether it takes connections."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment.renewal import Renewal
from rollback.database import server
from rollback.deployment import Container
from rollback.engine import Result
from rollback.outcome import Failed
from rollback.recovery.services import Service

if TYPE_CHECKING:
    from collections.abc import Sequence


class Engine:
    """One whose database takes connections from the third question on; everything else of it ends well at once."""

    def __init__(self, starts: int = 3) -> None:
        self.asked: list[Sequence[str]] = []
        self._starts = starts

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        """As docker answers."""
        self.asked.append(argv)
        return Result(2 if len(self.asked) < self._starts else 0, "", "")

    def ask(self, *_: Any, **__: Any) -> str:
        """What Compose is asked to do is done."""
        return ""


def container(service: str, *, running: bool = True) -> Container:
    """A container without a health check."""
    labels = {"com.docker.compose.service": service, "com.docker.compose.config-hash": "hash"}
    state = {"Running": running}
    return Container.of({"Id": service, "Name": f"/{service}", "Image": "image", "Config": {"Labels": labels},
                         "State": state})  # fmt: skip


def deployment(engine: Engine, *, running: bool = True) -> Any:
    """A database and a Redis, each as the files say."""
    settings = SimpleNamespace(
        database=SimpleNamespace(service="db", user="postgres"),
        containment=SimpleNamespace(redis="redis"),
        timing=SimpleNamespace(healthy=5),
    )
    return SimpleNamespace(
        settings=settings,
        engine=engine,
        serving=lambda name: [container(name, running=running)],
        hashes=lambda _: {"db": "hash", "redis": "hash"},
        compose=SimpleNamespace(up=lambda *_, **__: ["up"]),
        image_id=lambda _: "image",
        image_name=lambda *_: "name",
    )


@pytest.fixture(autouse=True)
def no_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is asked for its volumes."""
    monkeypatch.setattr("rollback.database.server.disposable.volumes", lambda *_: [])


def test_the_database_is_asked_over_tcp_and_others_are_not() -> None:
    """On its socket the server of a first start would answer; one that does not run is not asked."""
    engine = Engine(starts=2)
    there = deployment(engine)
    assert not server.at_hand(there, container("db"))
    assert server.at_hand(there, container("db"))
    assert server.at_hand(there, container("redis"))
    assert not server.at_hand(there, container("db", running=False))
    assert not server.at_hand(there, container("redis", running=False))
    assert len(engine.asked) == 2
    assert re.search(r"container:db .*pg_isready .*--host=127\.0\.0\.1", " ".join(engine.asked[0]))


def test_secrets_are_not_changed_before_the_database_answers() -> None:
    """That is the reading of `database and sessions at hand`."""
    one = Renewal(deployment(Engine(starts=2)), {})
    assert (one.at_hand().holds, one.at_hand().seen) == (False, "healthy")
    assert "db" in Renewal(deployment(Engine()), {}).at_hand().seen


def service(engine: Engine) -> Service:
    """The database of a recovery."""
    ground: Any = SimpleNamespace(deployment=deployment(engine), model={}, facts={"kept": {}})
    return Service(ground, "db")


def test_a_recovered_database_is_up_when_it_answers() -> None:
    """Compose is content with one that was started: it is waited for."""
    assert service(Engine()).reading().seen == "db is not healthy"
    engine = Engine()
    service(engine).up()
    assert len(engine.asked) == 3


def test_a_database_that_never_answers_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, in the time that a database is given."""
    monkeypatch.setattr("rollback.recovery.services._PATIENCE", 0)
    one = service(Engine(starts=1000))
    one.ground.deployment.settings.timing.healthy = 0
    with pytest.raises(Failed, match="db is not healthy"):
        one.up()
