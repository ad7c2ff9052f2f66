"""Security breach: sessions that Redis keeps end, whatever its secret, and nothing else of it goes."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from drills.database.servers import until
from rollback import commands
from rollback.containment.revocation import Revocation
from rollback.containment.table import ContainmentTable
from rollback.database import disposable
from rollback.engine import Engine
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.database]

IMAGE = "spheroseg-drill/redis:7"
#: More than one look of the search finds.
MANY = 2500
OTHERS = ["cache:session:1", "session", "Session:1", "sess"]
FILLED = (
    "for n = 1, tonumber(ARGV[1]) do redis.call('SET', 'session:' .. n, 'x') redis.call('SADD', 'sess-' .. n, n) end"
    " for _, one in ipairs(KEYS) do redis.call('SET', one, 'x') end return redis.call('DBSIZE')"
)
#: What the container is given, and with which password its Redis starts.
KNOWN = {"no password": ({}, ""), "its own name": ({"REDIS_PASSWORD": "p s"}, "p s"),
         "that of its program": ({"REDISCLI_AUTH": "p s"}, "p s")}  # fmt: skip


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Callable[[dict[str, str], str], Any]]:
    """Makes a deployment whose Redis starts with a password, or without one."""
    engine, name, stack = Engine(tmp_path), disposable.name("redis"), ExitStack()

    def made(env: dict[str, str], password: str) -> Any:
        argv = ["docker", "run", "--detach", "--name", name, "--label", disposable.label(), "--network", "none"]
        argv += [word for key in env for word in ("--env", key)]
        argv += [IMAGE, "redis-server", "--save", "", *(["--requirepass", password] if password else [])]
        stack.enter_context(disposable.started(engine, name, argv, env))
        ask = commands.execute(name, ["redis-cli", "--no-auth-warning", *(["-a", password] if password else [])])
        until(lambda: engine.run([*ask, "ping"]).out.strip() == "PONG")
        table = {"redis": "redis", "session_keys": ["session:*", "sess-*"]}
        settings = SimpleNamespace(containment=ContainmentTable.model_validate(table))
        one = SimpleNamespace(id=name, running=True)
        return SimpleNamespace(engine=engine, settings=settings, serving=lambda _: [one], state=tmp_path, ask=ask)

    with stack:
        yield made


@pytest.mark.parametrize(("env", "password"), KNOWN.values(), ids=KNOWN)
def test_sessions_end_and_the_rest_stays(
    redis: Callable[[dict[str, str], str], Any], env: dict[str, str], password: str
) -> None:
    """All of every pattern, of whatever kind; asked with the password that the container itself knows."""
    deployment = redis(env, password)
    fill = [*deployment.ask, "EVAL", FILLED, str(len(OTHERS)), *OTHERS, str(MANY)]
    assert deployment.engine.ask(fill).strip() == str(2 * MANY + len(OTHERS))
    Revocation(deployment, "run")._sessions()  # noqa: SLF001 -- the part of a revocation that Redis has
    assert sorted(deployment.engine.ask([*deployment.ask, "KEYS", "*"]).split()) == sorted(OTHERS)


def test_a_redis_that_refuses_is_told(redis: Callable[[dict[str, str], str], Any]) -> None:
    """Nobody has told the container its password: sessions that stay are not passed over."""
    deployment = redis({}, "p s")
    with pytest.raises(Failed, match="Redis refuses: NOAUTH"):
        Revocation(deployment, "run")._sessions()  # noqa: SLF001
