"""How a command ends: exit codes, and the exceptions that carry them to the person on call."""

from __future__ import annotations

import sys
from enum import IntEnum

__all__ = ["Exit", "Failed", "NothingToDo", "Refused", "Stop", "UsageError", "of_the_database"]


class Exit(IntEnum):
    """The exit codes of every `rollback` command."""

    DONE = 0
    USAGE = 2
    NOTHING_TO_DO = 10
    REFUSED = 20
    PUT_BACK = 30
    NOT_PUT_BACK = 40
    INCONCLUSIVE = 50
    NOT_TESTED = 51
    ROLLED_BACK = 60
    INTERRUPTED = 130


class Stop(Exception):  # noqa: N818 -- ends a command in an orderly way; not every stop is an error
    """An orderly end: what was found, and what to do next.

    Attributes:
        found: one sentence with the object, the measured value and the limit.
        next_step: what the operator does now; may be empty.
        exit: the exit code of the command.
        word: what it is called in front of the sentence.
    """

    exit = Exit.INCONCLUSIVE
    word = "failed"

    def __init__(self, found: str, next_step: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.found} Next: {self.next_step}" if self.next_step else self.found


class UsageError(Stop):
    """The words of the command or rollback.toml are wrong; nothing was read or changed."""

    exit = Exit.USAGE
    word = "wrong usage"


class NothingToDo(Stop):
    """The world is already as asked for."""

    exit = Exit.NOTHING_TO_DO
    word = "nothing to do"


class Refused(Stop):
    """A gate said no; nothing was changed."""

    exit = Exit.REFUSED
    word = "refused"


class Failed(Stop):
    """Something could not be read or carried out.

    Attributes:
        exit: INCONCLUSIVE until the runner, which alone knows what was begun, says PUT_BACK when everything was taken
            back, or NOT_PUT_BACK when it was not.
    """

    def __init__(self, found: str, next_step: str = "", *, exit_code: Exit = Exit.INCONCLUSIVE) -> None:
        super().__init__(found, next_step)
        self.exit = exit_code


def of_the_database(error: Exception) -> bool:
    """Whether psycopg raised it; who never imported psycopg has no such errors, and need not wait for the import."""
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(error, psycopg.Error)
