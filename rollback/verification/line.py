"""What a line of the checklist says: it is so, it is not so, or nobody could test it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rollback import look
from rollback.outcome import Exit, Stop, of_the_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Check", "Line", "NotTested", "Seen", "ended", "read"]

#: Whether it is so, and what was seen.
Seen: TypeAlias = tuple[bool, str]
#: A line that is still to be read: its name, and how it is read.
Check: TypeAlias = "tuple[str, Callable[[], Seen]]"


class NotTested(Stop):
    """Nothing is known to be wrong, and nothing is known to be well: what is needed for the test is not there."""

    exit = Exit.NOT_TESTED
    word = "not tested"


@dataclass(frozen=True)
class Line:
    """One line of the checklist.

    Attributes:
        ok: whether it is so; never where it was not tested.
        tested: whether anything was found out.
    """

    check: str
    ok: bool
    seen: str
    tested: bool = True

    @property
    def word(self) -> str:
        """`ok`, `no` or `not tested`."""
        return "ok" if self.ok else "no" if self.tested else "not tested"


def read(checks: Iterable[Check], begins: Callable[[str], None] = lambda _: None) -> list[Line]:
    """Read every line; it never stops at the first that is not so, and what cannot be read is not so.

    All lines are one look at the system: what one of them asked lately, another does not ask again.

    Args:
        checks: the lines, in order.
        begins: told the name of each before it is read.
    """
    lines = []
    with look.shared():
        for name, check in checks:
            begins(name)
            lines.append(_line(name, check))
    return lines


def _line(name: str, check: Callable[[], Seen]) -> Line:
    try:
        ok, seen = check()
    except NotTested as stop:
        return Line(name, ok=False, seen=str(stop), tested=False)
    except Stop as stop:
        return Line(name, ok=False, seen=stop.found)
    except OSError as error:
        return Line(name, ok=False, seen=f"{error.filename or 'the host'}: {error.strerror or error}")
    except Exception as error:
        if not of_the_database(error):
            raise
        return Line(name, ok=False, seen=f"the database: {(str(error).splitlines() or [type(error).__name__])[0]}")
    return Line(name, ok, seen)


def ended(lines: Sequence[Line]) -> Exit:
    """How a checklist ends: INCONCLUSIVE if a line is not so, NOT_TESTED if one was only not tested, else DONE."""
    if any(line.tested and not line.ok for line in lines):
        return Exit.INCONCLUSIVE
    return Exit.DONE if all(line.ok for line in lines) else Exit.NOT_TESTED
