"""Which of our commands only ask: they change nothing, and within a look they are put once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["asks"]

#: Words of docker that only look.
_LOOKS = (("info",), ("ps",), ("logs",), ("container", "inspect"), ("image", "inspect"), ("volume", "ls"))


def asks(argv: Sequence[str]) -> bool:
    """Whether a command of ours is one of docker's questions: it changes nothing, and may be put once in a look."""
    words = tuple(argv[1:])
    if argv[0] != "docker":
        return False
    if words[:1] == ("compose",):
        return _composes_only_configuration(words)
    return any(words[: len(one)] == one for one in _LOOKS)


def _composes_only_configuration(words: Sequence[str]) -> bool:
    """The first word that is neither an option of `docker compose` nor its value is what it does."""
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            return word == "config"
        next(rest, None)
    return False
