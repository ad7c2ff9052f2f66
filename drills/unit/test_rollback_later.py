"""Commands and procedures that are imported when they are needed: all are found, and what is not needed stays out."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rollback import cli
from rollback.commandline.later import Commands
from rollback.operations import PROCEDURES, _Made

#: Libraries that take a tenth of a second and more, and that a rollback of the application does without until users
#: are served again.
HEAVY = ("apprise", "asyncio", "cryptography", "crossplane", "pglast", "psycopg", "pyrage")


ALL = [name for some in cli.COMMANDS.values() for name in some]


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_there(name: str) -> None:
    """Under its own name, with a sentence of help."""
    group: Any = get_command(cli.app)
    assert group.commands[name].name == name
    assert group.commands[name].help


def test_help_shows_all_commands() -> None:
    """Those of the command line itself, and those that are imported later; each under its heading."""
    group: Any = get_command(cli.app)
    assert list(group.commands) == ALL
    assert [group.commands[name].rich_help_panel for name in ("release", "abort")] == [
        "Beforehand",
        "A run that was interrupted",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("contain", "rotate"), "[containment.secrets]"),
        (("switch",), "[switch.colours]"),
        ((), "40 failed and NOT put back, 50 inconclusive"),
    ],
)
def test_help_is_read_as_it_is_written(words: tuple[str, ...], said: str) -> None:
    """A table of rollback.toml is no markup, and lines end where the terminal does."""
    done = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": "200"})
    assert said in done.output


def test_commands_are_a_mapping_like_any_other() -> None:
    """Typer's own code does not know that some are not there yet."""
    there: Any = SimpleNamespace(help="Here.", params=[])
    commands = Commands({"here": there}, {"Far": {"there": "rollback.commandline.config:app"}, "Near": {"here": ""}})
    commands["new"] = SimpleNamespace(help=None, params=[])
    assert list(commands) == ["there", "here", "new"]
    assert "there" in commands
    assert "nowhere" not in commands
    assert commands.get("nowhere") is None
    del commands["new"]
    assert len(commands) == 2


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_procedure_is_there(name: str) -> None:
    """The journal's name for it leads to the module that has this name."""
    made = PROCEDURES[name]
    assert isinstance(made, _Made)
    module = import_module(f"rollback.procedures.{made.module}")
    assert callable(getattr(module, made.function))
    assert name in (getattr(module, "NAME", ""), getattr(module, "FORWARD", ""))


@pytest.mark.parametrize(
    "module",
    [
        "rollback.cli",
        "rollback.procedures.application",
        "rollback.procedures.environment",
        "rollback.documents.verification",
    ],
)
def test_heavy_libraries_stay_out(module: str) -> None:
    """Until somebody needs them: users wait for what is imported before the switch."""
    question = f"import {module}, sys; print(*(one for one in {HEAVY!r} if one in sys.modules))"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
