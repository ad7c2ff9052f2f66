"""The README tells the truth about commands, drills and files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from rollback.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def monthly_ids() -> set[str]:
    """The ids of all drills below drills/application, read from their markers."""
    found = set()
    for path in (ROOT / "drills/application").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.drill":
                found |= {str(ast.literal_eval(word.value)) for word in node.keywords if word.arg == "id"}
    return found


def test_ci_calls_the_test_command() -> None:
    """What the README tells people to run is what decides whether a change lands."""
    command = next(block.strip() for block in BLOCKS if block.strip().endswith(".venv/bin/pytest -n 2"))
    assert command in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_both_commands_stand_alone() -> None:
    """Each of the two commands makes its own virtual environment."""
    assert sum("-m venv .venv" in block for block in BLOCKS) == 2


def test_commands_exist() -> None:
    """Every `rollback ...` in the README is a command that there is."""
    group = get_command(app)
    named = set(re.findall(r"^rollback (release \w+|\w+)", "\n".join(BLOCKS), re.MULTILINE))
    known = {"release record", *getattr(group, "commands", {})}
    assert named
    assert named <= known


def test_every_drill_is_in_the_table() -> None:
    """No drill is missing from the table, and the table names none that is not there."""
    table = set(re.findall(r"`(application-[a-z-]+)`", README))
    assert table == monthly_ids()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_linked_files_exist(link: str) -> None:
    """A picture or file that the README shows is in the repository."""
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_parse(path: Path) -> None:
    """Each workflow is YAML with at least one job."""
    assert YAML(typ="safe").load(path)["jobs"]
