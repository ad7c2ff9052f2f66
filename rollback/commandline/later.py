"""Commands that are imported when somebody types them: at night a second of imports is a second of outage."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Commands", "group"]


class Commands(MutableMapping[str, Any]):
    """The commands of a group by name, in the order of its panels; one with a place is imported on demand.

    Attributes:
        panels: by heading, the names with their places ("package.module:attribute"; "" for one that is there).
    """

    def __init__(self, there: Mapping[str, Any], panels: Mapping[str, Mapping[str, str]]) -> None:
        self._places = {name: place for some in panels.values() for name, place in some.items()}
        self._panels = {name: heading for heading, some in panels.items() for name in some}
        self._there = {name: self._shown(name, command) for name, command in there.items()}

    def _shown(self, name: str, command: Any) -> Any:
        command.rich_help_panel = self._panels.get(name)
        return flowing(command)

    def __getitem__(self, name: str) -> Any:
        if name not in self._there:
            self._there[name] = self._shown(name, _made(name, self._places[name]))
        return self._there[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._there[name] = self._shown(name, command)

    def __delitem__(self, name: str) -> None:
        del self._there[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._places, *(name for name in self._there if name not in self._places)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._there


def flowing(command: Any) -> Any:
    """A command whose help, and that of its own commands, breaks its lines where the terminal ends."""
    for one in (command, *command.params):
        one.help = _flowing(getattr(one, "help", None) or "")
    for one in getattr(command, "commands", {}).values():
        flowing(one)
    return command


def _flowing(text: str) -> str:
    paragraphs = "\n\n".join(" ".join(one.split()) for one in inspect.cleandoc(text).split("\n\n"))
    # a table of rollback.toml is no markup of rich
    return paragraphs.replace("[", "\\[")


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


def group(panels: Mapping[str, Mapping[str, str]]) -> type[TyperGroup]:
    """A group with commands that are imported when they are typed, or when all are asked for (--help)."""

    class Later(TyperGroup):
        """Knows the names of all, and imports the one that is meant."""

        def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
            super().__init__(commands=commands, **attributes)
            self.commands = Commands(self.commands, panels)
            self.help = _flowing(self.help or "")

    return Later
