"""Which worker runs what: those with a stack come last, one after the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drills.unit.inner_run import CONFTEST, PYPROJECT
from fixtures.distribution import queues
from fixtures.selection import Selected

if TYPE_CHECKING:
    import pytest

pytest_plugins = ("pytester",)

#: A test with a stack that begins before all others have ended, or beside another one, fails.
TESTS = """
import json, os, pathlib, time, pytest

NOTES = pathlib.Path(__file__).parents[2] / "notes"

@pytest.fixture
def stack():
    return None

@pytest.fixture(autouse=True)
def noted(request):
    yield
    NOTES.mkdir(exist_ok=True)
    note = {"worker": os.environ["PYTEST_XDIST_WORKER"], "stack": "without" not in request.node.name}
    (NOTES / request.node.name).write_text(json.dumps(note))

@pytest.mark.alone
def test_with_a_run_of_its_own():
    assert len([*NOTES.glob("test_without*")]) >= 37

@pytest.mark.parametrize("number", range(4))
def test_with(stack, number):
    before = len([*NOTES.glob("test_without*")])
    # the other worker may have three before it
    assert before >= 37, f"only {before} of the others had run"
    time.sleep(0.1)

@pytest.mark.parametrize("number", range(40))
def test_without(number):
    pass
"""


def test_tests_with_a_stack_are_one_workers(pytester: pytest.Pytester) -> None:
    """On two cores there is one stack at a time, and everything else has run by then, or all but the last few."""
    folder = pytester.path / "drills/application"
    folder.mkdir(parents=True)
    (pytester.path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (pytester.path / "conftest.py").write_text(
        f"{CONFTEST}\nfrom fixtures import distribution\ndistribution.places = lambda: 1\n", encoding="utf-8"
    )
    (folder / "test_x.py").write_text(TESTS, encoding="utf-8")
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=45)
    notes = [json.loads(one.read_text(encoding="utf-8")) for one in (pytester.path / "notes").iterdir()]
    assert len({one["worker"] for one in notes if one["stack"]}) == 1
    assert len({one["worker"] for one in notes}) == 2


def test_as_many_queues_as_stacks_at_once() -> None:
    """Of about one length; what needs no stack is in none."""
    selected = [Selected(f"test_{number}", "", (), None, "", "", (), stack=number != 2) for number in range(6)]
    assert queues(selected, 2) == {
        "test_0": "stacks 0", "test_1": "stacks 1", "test_3": "stacks 0", "test_4": "stacks 1", "test_5": "stacks 0",
    }  # fmt: skip
