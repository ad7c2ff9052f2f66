"""A run says what it left out and how it is repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from drills.unit.inner_run import CONFTEST, GATED, HEAD, LATEST, PASSING, PYPROJECT, run
from fixtures.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ("pytester",)


def test_a_run_says_what_it_left_out(project: pytest.Pytester) -> None:
    """What was selected, what was not, what was typed: in run.json, for the first page."""
    two = (
        PASSING
        + """
@pytest.mark.engine
@pytest.mark.gate
@drill("b")
def test_b(record):
    record(id="b", verdict="pass")
"""
    )
    run(project, two, "-n1", "-m", "monthly", "drills")
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert [one["drill"] for one in known["selected"]] == ["a"]
    assert [(one["drill"], one["why"]) for one in known["left"]] == [("b", "not selected by -m monthly")]
    assert (known["asked"], known["whole"], known["complete"]) == ("monthly", True, True)
    assert known["command"].endswith("-n1 -m monthly drills")
    assert known["ended"] >= known["started"]


SEEDED = (
    HEAD
    + """
@pytest.mark.engine
@drill("a")
def test_a(record, request):
    record(id="a", verdict="pass", seed=request.config.getoption("seed"))
"""
)
#: All of the drills' machinery, and no engine.
WITHOUT_ENGINE = """
from fixtures import engine, sweep
engine.ready = sweep.sweep = lambda say: None
pytest_plugins.append("fixtures.plugin")
"""


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_one_command_repeats_a_whole_run(project: pytest.Pytester, argv: tuple[str, ...]) -> None:
    """The seed that was drawn is part of it, the same in every process; one that was typed stands there once."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    run(project, SEEDED, *argv)
    drawn = json.loads((project.path / LATEST / "drills.jsonl").read_text())["seed"]
    assert json.loads((project.path / LATEST / "run.json").read_text())["command"].endswith(f" --seed {drawn}")
    run(project, SEEDED, *argv, "--seed=7")
    assert json.loads((project.path / LATEST / "drills.jsonl").read_text())["seed"] == 7
    assert json.loads((project.path / LATEST / "run.json").read_text())["command"].count("--seed") == 1


@pytest.mark.parametrize("argv", [pytest.param(("-n0",), id="one-process"), pytest.param(("-n1",), id="worker")])
def test_what_the_drills_leave_out_by_themselves_has_its_own_reason(
    project: pytest.Pytester, argv: tuple[str, ...]
) -> None:
    """The marker says it; what was not asked for is another reason."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    twins = f'{PASSING}\n@pytest.mark.exhaustive("a is the harder one")\n@drill("b")\ndef test_b(): pass\n'
    run(project, f'{twins}\n@drill("c")\ndef test_c(): pass\n', *argv, "-k", "not test_c", "drills")
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert {one["drill"]: (one["why"], one["because"]) for one in known["left"]} == {
        "b": ("of the exhaustive set, which -m exhaustive runs", "a is the harder one"),
        "c": ("not selected by -k 'not test_c'", ""),
    }
    assert (known["whole"], known["narrowed"]) == (False, ["-k 'not test_c'"])


def test_what_is_left_out_without_a_word_ends_the_run(project: pytest.Pytester) -> None:
    """Otherwise the report would have to make a reason up."""
    (project.path / "conftest.py").write_text(f"{CONFTEST}{WITHOUT_ENGINE}", encoding="utf-8")
    ran = run(project, f"{PASSING}\n@pytest.mark.exhaustive\ndef test_b(): pass\n", "drills")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["*test_b has to say why it may be left out*"])


@pytest.mark.parametrize(
    ("argv", "narrowed"),
    [
        pytest.param(("-m", "gate", "drills"), [], id="whole"),
        pytest.param(("-m", "gate", "drills/application"), ["drills/application"], id="place"),
        pytest.param(("drills", "--deselect", "drills/x.py::y"), ["--deselect drills/x.py::y"], id="deselected"),
        pytest.param(("drills", "--ignore=drills/x.py"), ["--ignore drills/x.py"], id="ignored"),
        pytest.param(("drills", "--lf"), ["--last-failed"], id="last-failed"),
        pytest.param(("drills", "--sw"), ["--stepwise"], id="stepwise"),
        pytest.param(("drills", "--sw-skip"), ["--stepwise"], id="stepwise-skip"),
    ],
)
def test_what_narrows_a_run_is_known(project: pytest.Pytester, argv: tuple[str, ...], narrowed: list[str]) -> None:
    """A part of the gate is not the gate."""
    body = GATED.format(mark="gate", drill='@drill("a")', body='record(id="a", verdict="pass")')
    remembering = PYPROJECT.replace(', "-p", "no:cacheprovider"', "")
    (project.path / "pyproject.toml").write_text(remembering, encoding="utf-8")
    run(project, body, *argv)
    known = json.loads((project.path / LATEST / "run.json").read_text())
    assert (known["narrowed"], known["whole"]) == (narrowed, not narrowed)


def test_each_drill_has_its_own_day_of_one_seed(tmp_path: Path) -> None:
    """Otherwise a whole run would try one users' day only; alone a drill has the day that it had in the run."""
    days = [Bench(Mock(nodeid=name), Mock(), Mock(), seed, tmp_path, tmp_path).day
            for name, seed in (("a", 7), ("b", 7), ("a", 8), ("a", 7))]  # fmt: skip
    assert len({*days}) == 3
    assert days[0] == days[3]
