"""A project of a few drills that loads the plugin under test, and runs of it in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
LATEST = Path("reports", "latest")
PYPROJECT = f"""
[tool.pytest]
strict = true
pythonpath = [".", "{ROOT}"]
addopts = ["-ra", "--import-mode=importlib", "-p", "no:faker", "-p", "no:cacheprovider"]
filterwarnings = ["error"]
markers = [
    "monthly", "gate", "engine", "trust", "alone", "exhaustive(why)",
    "drill(id, section, procedure, severity, objective)",
]
"""
# building the page is tested elsewhere; here its absence has to be said
CONFTEST = """
import json, pathlib, pytest
from reports import toolchain

pytest_plugins = ["fixtures.allure_results"]

def absent():
    raise toolchain.NotAtHandError("no Node in this test")

toolchain.node = absent
PROVED = {"writes": {"lost": 0}, "objective_s": 60, "rto_s": {"read": {"low": 1.0, "high": 2.0}}}

@pytest.fixture
def record(request):
    def write(text):
        path = request.config.rootpath / "reports/latest/drills.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text + "\\n")
    return lambda **line: write(line.pop("raw", None) or json.dumps({**PROVED, **line}))
"""
HEAD = """
import os, pathlib, pytest
SECTION = "Application Rollback / Quick Rollback (Docker)"
def drill(id):
    return pytest.mark.drill(id=id, section=SECTION, procedure="application", severity="critical", objective=60)
"""
PASSING = (
    HEAD
    + """
@pytest.mark.engine
@pytest.mark.monthly
@drill("a")
def test_a(record):
    record(id="a", verdict="pass", reason="kept")
"""
)


def run(project: pytest.Pytester, body: str, *argv: str) -> pytest.RunResult:
    """Run these tests in a process of their own, as a user does."""
    folder = project.path / "drills" / "application"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_x.py").write_text(body, encoding="utf-8")
    return project.runpytest_subprocess(*argv)


def results(project: pytest.Pytester) -> dict[str, dict[str, Any]]:
    """Return the Allure results by name."""
    found = (project.path / LATEST / "allure-results").glob("*-result.json")
    return {result["name"]: result for result in (json.loads(path.read_text()) for path in found)}


def left_by_another_run(project: pytest.Pytester) -> list[Path]:
    """Put down the files of a run before and return them."""
    names = ("drills.jsonl", "index.html", "summary.md", "junit.xml", "allure-results/old-result.json")
    paths = [project.path / LATEST / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"id": "old", "verdict": "pass"}', encoding="utf-8")
    return paths


GATED = (
    HEAD
    + """
@pytest.mark.engine
@pytest.mark.{mark}
{drill}
def test_a(record):
    {body}
"""
)
