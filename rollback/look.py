"""One look at the live system: what was asked in it once is not asked again, and nothing outlives a change.

A look is opened for one reading (a step's postcondition, a checklist, a survey) and is gone with it. In it the same
question has the same answer, so a reading speaks of one moment. Three things end what a look remembers, whichever
comes first: the end of the reading; any program started through the engine that may change something, in whichever
thread; and its age. Outside of a look every question goes to the system.
"""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

__all__ = ["LONGEST_SECONDS", "anew", "answer", "change", "shared"]

_T = TypeVar("_T")

#: A survey may take longer than a checklist; what it saw at its beginning is then not what it says at its end.
LONGEST_SECONDS = 5.0


@dataclass
class _Changes:
    """Counts what may have changed the system, over all threads."""

    seen: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def one(self) -> None:
        """Nothing that was remembered before counts any more."""
        self.seen = next(self._numbers)


@dataclass(frozen=True)
class _Kept(Generic[_T]):
    """An answer, the count of changes when it was asked for, and when that was."""

    answer: _T
    changes: int
    at: float

    @property
    def counts(self) -> bool:
        """Whether nothing has changed since, and it is not old."""
        return self.changes == _changes.seen and time.monotonic() - self.at < LONGEST_SECONDS


_changes = _Changes()
_look: ContextVar[dict[Hashable, _Kept[object]] | None] = ContextVar("look", default=None)


@contextmanager
def anew() -> Iterator[None]:
    """A look that knows nothing yet, whatever was seen before: for proofs."""
    token = _look.set({})
    try:
        yield
    finally:
        _look.reset(token)


@contextmanager
def shared() -> Iterator[None]:
    """The look that is open, or a new one: for what may be a part of a larger reading."""
    if _look.get() is not None:
        yield
        return
    with anew():
        yield


@contextmanager
def change() -> Iterator[None]:
    """Something may become otherwise in the block: every open look forgets what was seen before it, and in it."""
    _changes.one()
    try:
        yield
    finally:
        _changes.one()


def answer(question: Hashable, ask: Callable[[], _T]) -> _T:
    """What the system says, asked once in a look; a question that is open while something changes is not kept."""
    memory = _look.get()
    if memory is None:
        return ask()
    kept = memory.get(question)
    if kept is not None and kept.counts:
        return cast("_T", kept.answer)
    before, at = _changes.seen, time.monotonic()
    said = ask()
    memory[question] = _Kept(said, before, at)
    return said
