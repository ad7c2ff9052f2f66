"""The README, the CI and the workflows say the same, and what they name is there."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from drills.unit.collected import DRILLS, Marked
from reports import runbook
from reports.wording import seconds
from rollback.cli import app
from rollback.outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
BLOCKS = [text.strip() for text in re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", README, flags=re.DOTALL | re.MULTILINE))
PYTEST = " && .venv/bin/pytest"
MONTHLY, GATE, EVERYTHING = (f"{PYTEST}{words} -n 2" for words in (" drills/ -m monthly", " drills/ -m gate", ""))
SELF_CONTAINED: list[str] = [text for text in BLOCKS if "-m venv" in text]
TOOLS = ("python", "pip", "ruff", "mypy", "pytest")


def the_command(ending: str) -> str:
    """The one self-contained command of the README with this ending."""
    found: list[str] = [text for text in SELF_CONTAINED if text.endswith(ending)]
    (only,) = found
    return only


SETUP = the_command(EVERYTHING).removesuffix(EVERYTHING)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


TABLE = rows("The runbook, section by section")
IN_TABLE = {name for row in TABLE for name in re.findall(r"`([^`]+)`", row[3])}


def workflow(name: str) -> dict[str, Any]:
    """A workflow as YAML reads it."""
    read: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows" / name)
    return read


def typed(name: str) -> list[str]:
    """What a workflow types, step by step."""
    steps = [step for job in workflow(name)["jobs"].values() for step in job["steps"]]
    return [step["run"].strip() for step in steps if "run" in step]


def test_two_commands_stand_in_the_readme() -> None:
    """One for the drill and one for the tests, each on one line, with the same way to a virtual environment."""
    assert sorted(SELF_CONTAINED) == sorted([SETUP + MONTHLY, SETUP + EVERYTHING])
    assert all("\n" not in text for text in SELF_CONTAINED)
    assert "import ensurepip, venv" in SETUP


def test_ci_ends_with_the_test_command() -> None:
    """What people are told to run decides, and nothing behind it can hide its exit code."""
    assert CI.splitlines()[-1] == the_command(EVERYTHING)
    assert f"{{ {SETUP}; }} || exit" in CI.splitlines()


def stand_ins(folder: Path, failing: str, code: int) -> Path:
    """A checkout that holds only .ci/run, and tools that do nothing but write themselves down."""
    script = folder / ".ci/run"
    script.parent.mkdir()
    script.write_text(CI, encoding="utf-8")
    tools = folder / ".venv/bin"
    tools.mkdir(parents=True)
    for name in TOOLS:
        text = f'#!/bin/sh\necho "{name} $*" >> "{folder}/called"\nexit {code if name == failing else 0}\n'
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("failing", "code"), [("", 0), ("pytest", 1), ("pytest", 5), ("mypy", 1), ("ruff", 1), ("pip", 1), ("python", 1)]
)
def test_ci_is_as_red_as_its_first_red_stage(tmp_path: Path, failing: str, code: int) -> None:
    """Any stage that fails ends the run with its exit code; pytest without a test (5) is no success."""
    script = stand_ins(tmp_path, failing, code)
    done = subprocess.run(["bash", str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    called = (tmp_path / "called").read_text(encoding="utf-8").splitlines()
    assert done.returncode == code, done.stderr
    assert called[-1].split()[0] == (failing or "pytest")
    assert re.search(rf"^\d\d:\d\d:\d\dZ  exit code {code} after \d+ s$", done.stdout, re.MULTILINE)


def test_ci_can_be_started() -> None:
    """It is executable."""
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def _spelled_out(words: str, known: set[str]) -> str:
    """`migration 012` is short for `migration back 012`, `database latest` for `database restore latest`."""
    usual = {
        "migration": "migration back",
        "database": "database restore",
        "rows": "rows repair",
        "contain": "contain all",
    }
    return words if words in known else usual.get(words.partition(" ")[0], words)


def test_commands_exist() -> None:
    """Every `rollback ...` of the README is a command that there is, and none is left unnamed."""
    group: Any = get_command(app)
    groups = {name for name, one in group.commands.items() if hasattr(one, "commands")}
    known = set(group.commands) - groups
    known |= {f"{name} {word}" for name in groups for word in group.commands[name].commands}
    told = [line.strip() for text in (*BLOCKS, *SPANS) for line in text.splitlines()]
    pattern = rf"rollback ((?:{'|'.join(sorted(groups))}) [\w-]+|\w+)"
    named = {_spelled_out(found[1], known) for line in told if (found := re.match(pattern, line))}
    assert named - groups <= known
    assert named >= known - {"release list", "release show", "release bad"}
    assert {"release list", "release show", "release bad"} <= known


def test_options_exist(pytestconfig: pytest.Config) -> None:
    """The options that the README tells people to use are there."""
    group: Any = get_command(app)
    ours = {option for one in group.commands["application"].params for option in one.opts}
    assert ours >= {"--plan", "--yes", "--json", "-C"}
    for name in ("keep", "seed", "report_dir"):
        assert f"--{name.replace('_', '-')}" in README
        pytestconfig.getoption(name)  # raises ValueError for an option that nobody declared


def test_exit_codes_are_the_ones_of_the_command() -> None:
    """The table has each exit code, and no other."""
    assert [int(row[0]) for row in rows("The command")] == sorted(int(one) for one in Exit)


def of_row(row: list[str]) -> list[Marked]:
    """The drills that a row of the table names."""
    patterns = re.findall(r"`([^`]+)`", row[3])
    return [one for one in DRILLS if any(fnmatchcase(one.id, pattern) for pattern in patterns)]


def test_every_drill_that_the_readme_names_exists() -> None:
    """The table names no drill that is not there."""
    names = {one for one in IN_TABLE if "-" in one}
    assert names == IN_TABLE, "the column holds ids of drills only"
    assert [name for name in sorted(names) if not any(fnmatchcase(one.id, name) for one in DRILLS)] == []


def test_every_drill_is_in_the_readme() -> None:
    """No drill is missing from the table."""
    assert len(DRILLS) > len(IN_TABLE)
    assert [one.id for one in DRILLS if not any(fnmatchcase(one.id, name) for name in IN_TABLE)] == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_the_objective_of_a_row_is_that_of_its_drills(row: list[str]) -> None:
    """Every time in the column is what its drills are held against, and none is left out."""
    held = sorted({one.objective for one in of_row(row) if one.objective is not None})
    assert re.findall(r"\d+ \w+", row[4]) == [seconds(one) for one in held]


#: What a release can bring broken, and what goes back with each rollback or before it and has no drill of its own.
BROUGHT = {"images", "env files", "Compose files", "nginx's files", "monitoring's files", "migrations", "rows"}
PART_OF_EACH = {"Pre-Rollback Checklist", "Post-Rollback Actions"}


def covered(drills: Iterable[Marked]) -> set[str]:
    """The chapters of the runbook that they drill, and what of a release is broken in them."""
    return {name for one in drills for name in (one.section.partition(" / ")[0], *one.brings)}


def test_the_gate_is_chosen_by_its_rule() -> None:
    """Each chapter that rolls something back, each thing that a release can bring broken, and no drill without need."""
    gate = [one for one in DRILLS if "gate" in one.marks]
    chapters = {one.name.partition(" / ")[0] for one in runbook.SECTIONS} - PART_OF_EACH
    assert covered(gate) == chapters | BROUGHT
    assert [one.id for one in gate if covered(other for other in gate if other != one) >= chapters | BROUGHT] == []


def test_the_readme_has_the_rule_of_the_gate() -> None:
    """It names what a release can bring, and the drills that stand for it."""
    (rule,) = [text for text in README.split("\n\n") if text.startswith("**The gate**")]
    told = " ".join(rule.split())
    assert [one for one in sorted(BROUGHT) if one not in told] == []
    assert {one.id for one in DRILLS if "gate" in one.marks} == set(re.findall(r"`(\w+-[\w-]+)`", told))


#: The marker of each chapter of the runbook: `pytest drills/ -m MARKER` drills it, and no other chapter is left out.
OF_CHAPTER = {
    "Pre-Rollback Checklist": "aftermath",
    "Application Rollback": "application",
    "Database Rollback": "database",
    "Infrastructure Rollback": "infrastructure",
    "Configuration Rollback": "configuration",
    "Emergency Procedures": "emergency",
    "Post-Rollback Actions": "aftermath",
    "Rollback Automation": "automation",
}


def test_each_chapter_can_be_drilled_alone() -> None:
    """Each of its drills bears its marker, and the README names it."""
    chapters = {one.id: one.section.partition(" / ")[0] for one in DRILLS}
    assert {*chapters.values()} == {*OF_CHAPTER}
    assert [one.id for one in DRILLS if OF_CHAPTER[chapters[one.id]] not in one.marks] == []
    (row,) = [row for row in TABLE if row[0] == "Testing Rollback Procedures"]
    assert set(re.findall(r"-m (\w+)", row[2])) == {"monthly", *OF_CHAPTER.values()}


#: Chapters of the runbook that need no procedure of their own; of the others the drills name the section.
OTHER_CHAPTERS = ("Rollback Scenarios", "Testing Rollback Procedures", "Important Notes", "Quick Reference",
                  "Support Contacts")  # fmt: skip


@pytest.mark.parametrize("chapter", OTHER_CHAPTERS)
def test_every_other_chapter_has_a_row(chapter: str) -> None:
    """Whoever looks a chapter up finds what became of it."""
    assert len([row for row in TABLE if row[0].startswith(chapter)]) == 1


def test_no_measured_figure_is_typed() -> None:
    """Times and sizes stand in tables that the tests hold; a figure in a sentence would be nobody's."""
    prose = re.sub(r"^ *```.*?^ *```$|^\|.*?$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\b\d[\d.]* (?:ms|s|min|GB|MB)\b|\b\d+ of \d+\b", " ".join(prose.split())) == []


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_linked_files_exist(link: str) -> None:
    """A picture or file that the README shows is in the repository."""
    assert (ROOT / link).is_file()


def test_the_report_is_shown() -> None:
    """The picture is a picture; a link that nobody renders would not be noticed."""
    assert "](.github/pictures/report.png)" in README
    assert (ROOT / ".github/pictures/report.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_folders_and_files_exist() -> None:
    """What stands in the README as a path of the repository is one; what a run generates is ignored by git."""
    tops = ("drills/", "fixtures/", "rollback/", ".ci/", ".github/")
    paths = {span.split("::")[0] for span in SPANS if span.startswith(tops)}
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_example_is_a_drill_of_ours() -> None:
    """The worked example stands word for word in the file it is taken from."""
    (example,) = EXAMPLES
    assert example in (ROOT / "drills/application/test_bad_release.py").read_text(encoding="utf-8")


def test_the_repeated_drill_exists() -> None:
    """The drill that the README repeats by name is there."""
    (path, name), *others = re.findall(r"(drills/[\w/]+\.py)::(\w+)", README)
    assert not others
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_workflows_run_the_readme_command() -> None:
    """The scheduled drill is the README's command; the gate differs by its marker alone."""
    assert sorted(path.name for path in (ROOT / ".github/workflows").iterdir()) == ["drill.yml", "gate.yml"]
    assert SETUP + MONTHLY in typed("drill.yml")
    assert SETUP + GATE in typed("gate.yml")
    assert SETUP + f'{EVERYTHING} -m "not monthly"' in typed("drill.yml")


def test_workflows_start_when_they_should() -> None:
    """Once a month and by hand; for each pull request and each release."""
    monthly, gate = workflow("drill.yml")["on"], workflow("gate.yml")["on"]
    assert {"cron": "0 5 1 * *"} in monthly["schedule"]
    assert "workflow_dispatch" in monthly
    assert "pull_request" in gate
    assert gate["push"]["tags"] == ["v*"]
