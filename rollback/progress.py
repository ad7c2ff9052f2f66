"""How far a long step is, for whoever watches; a step says it without knowing who that is."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["shown_to", "tell", "watched"]

_EVERY_SECONDS = 1.0
_WATCHER: ContextVar[Callable[[str], None] | None] = ContextVar("_WATCHER", default=None)


@contextmanager
def shown_to(watcher: Callable[[str], None]) -> Iterator[None]:
    """Within the block, what is told is shown by `watcher`."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell(text: str) -> None:
    """Say how far it is; heard by nobody where nobody watches."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(text)


@contextmanager
def watched(look: Callable[[], str]) -> Iterator[None]:
    """Within the block, `look` every second, in a thread of its own, and tell what it says.

    A look that fails ends the looking and is told as well: it is no reason to end the work.
    """
    watcher, over = _WATCHER.get(), threading.Event()
    if watcher is None:
        yield
        return

    def go_on() -> None:
        while not over.wait(_EVERY_SECONDS):
            try:
                watcher(look())
            except Exception as error:  # noqa: BLE001 -- whatever it is, the work beside it goes on
                watcher(f"how far it is cannot be told: {error}")
                return

    thread = threading.Thread(target=go_on, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
