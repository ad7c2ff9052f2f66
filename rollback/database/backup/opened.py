"""A believed backup opened as a server, once a command: a restore takes longest."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollback.database.backup.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server
    from rollback.deployment import Deployment

__all__ = ["restored", "restored_once"]


@dataclass(frozen=True)
class _Held:
    stack: ExitStack
    there: dict[str, tuple[Server, Manifest]] = field(default_factory=dict)


_HELD: ContextVar[_Held | None] = ContextVar("_HELD", default=None)


@contextmanager
def restored_once() -> Iterator[None]:
    """While it lasts a backup is restored once, however often the survey and the steps look into it."""
    with ExitStack() as stack:
        token = _HELD.set(_Held(stack))
        try:
            yield
        finally:
            _HELD.reset(token)


@contextmanager
def restored(deployment: Deployment, name: str) -> Iterator[tuple[Server, Manifest]]:
    """A backup in a scratch PostgreSQL, believed; see `Desk.restored`."""
    desk = Desk.of(deployment)
    held = _HELD.get()
    if held is None:
        with desk.restored(name) as found:
            yield found
        return
    if name not in held.there:
        found = held.stack.enter_context(desk.restored(name))
        held.there.update({name: found, found[1].id: found})
    yield held.there[name]
