"""Containers that die and are brought back again and again: what the engine is asked to do with one fails at random."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.containment.standing import Standing
from rollback.engine import CommandFailed, inspected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rollback.deployment import Deployment
    from rollback.engine import Engine

__all__ = ["each", "is_up", "lasts"]

_AT_ONCE = 8
_STOP_SECONDS = 5


def is_up(raw: dict[str, Any]) -> bool:
    """Whether there are processes in it: between two tries the engine calls it running all the same."""
    return bool(raw["State"]["Running"] and not raw["State"].get("Restarting"))


def lasts(engine: Engine, raw: dict[str, Any]) -> bool:
    """Whether a container is up, and has been ever since this record of it."""
    return any(is_up(one) and one["State"]["StartedAt"] == raw["State"]["StartedAt"] for one in _now(engine, raw))


def each(deployment: Deployment, act: Callable[[dict[str, Any]], None], there: Iterable[dict[str, Any]]) -> None:
    """Do it with each of them, side by side; one that did not last meanwhile is stopped, and done once more.

    Args:
        deployment: whose they are; it is shut.
        act: may be repeated.
        there: the engine's records of them.

    Raises:
        CommandFailed: the engine refuses.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ends = [(one, pool.submit(act, one)) for one in there]
    for one, end in ends:
        try:
            end.result()
        except CommandFailed:
            if lasts(deployment.engine, one):
                raise
            _with_stopped(deployment, act, one)


def _with_stopped(deployment: Deployment, act: Callable[[dict[str, Any]], None], raw: dict[str, Any]) -> None:
    """Noted first, for `Isolation.open` starts it again; nothing is done with one that is gone."""
    if not _now(deployment.engine, raw):
        return
    if standing := Standing.read(deployment):
        standing.stopped = sorted({*standing.stopped, raw["Id"]})
        standing.write(deployment)
    deployment.engine.ask(commands.stop([raw["Id"]], seconds=_STOP_SECONDS))
    for one in _now(deployment.engine, raw):
        act(one)


def _now(engine: Engine, raw: dict[str, Any]) -> list[dict[str, Any]]:
    return inspected(engine.run(commands.inspect("container", [raw["Id"]])))
