"""Commands that are imported when somebody types them: at night a second of imports is a second of outage."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Commands", "group"]


class Commands(MutableMapping[str, Any]):
    """The commands of a group by name; those of `later` ("package.module:attribute") are imported on demand.

    Attributes:
        order: every name, as help shows them.
    """

    def __init__(self, there: Mapping[str, Any], later: Mapping[str, str]) -> None:
        self._there, self._later = dict(there), later
        self.order = [*there, *(name for name in later if name not in there)]

    def __getitem__(self, name: str) -> Any:
        if name not in self._there:
            self._there[name] = _made(name, self._later[name])
        return self._there[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._there[name] = command
        self.order += [] if name in self.order else [name]

    def __delitem__(self, name: str) -> None:
        del self._there[name]
        self.order.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def __contains__(self, name: object) -> bool:
        return name in self.order


def _made(name: str, place: str) -> Any:
    """The command as typer makes it from a function, or from an application of its own."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    around = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    # a single command is no group: with a callback it is one
    around.callback()(_nothing)
    made: Any = typer.main.get_command(around)
    return made.commands[name]


def _nothing() -> None:
    """Only there to make a group."""


def group(later: Mapping[str, str]) -> type[TyperGroup]:
    """A group with commands that are imported when they are typed, or when all are asked for (--help)."""

    class Later(TyperGroup):
        """Knows the names of all, and imports the one that is meant."""

        def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
            super().__init__(commands=commands, **attributes)
            self.commands = Commands(self.commands, later)

    return Later
