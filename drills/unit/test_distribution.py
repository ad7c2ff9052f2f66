"""Which worker runs what: those with a stack wait for nobody, and nobody waits for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drills.unit.test_plugin_results import CONFTEST, PYPROJECT
from fixtures.distribution import queues
from fixtures.selection import Selected

if TYPE_CHECKING:
    import pytest

pytest_plugins = ("pytester",)

#: Those with a stack wait until everything else has run: with one of them on each worker, both would wait for ever.
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
    note = {"worker": os.environ["PYTEST_XDIST_WORKER"], "stack": "stack" in request.fixturenames}
    (NOTES / request.node.name).write_text(json.dumps(note))

@pytest.mark.parametrize("number", range(4))
def test_with(stack, number):
    deadline = time.monotonic() + 20
    while len([*NOTES.glob("test_without*")]) < 6:
        assert time.monotonic() < deadline, "what needs no stack did not run meanwhile"
        time.sleep(0.01)

@pytest.mark.parametrize("number", range(6))
def test_without(number):
    pass
"""


def test_tests_with_a_stack_are_one_workers(pytester: pytest.Pytester) -> None:
    """The other runs everything else meanwhile; on two cores there is one stack at a time."""
    folder = pytester.path / "drills/application"
    folder.mkdir(parents=True)
    (pytester.path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (pytester.path / "conftest.py").write_text(
        f"{CONFTEST}\nfrom fixtures import distribution\ndistribution.places = lambda: 1\n", encoding="utf-8"
    )
    (folder / "test_x.py").write_text(TESTS, encoding="utf-8")
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=10)
    notes = [json.loads(one.read_text(encoding="utf-8")) for one in (pytester.path / "notes").iterdir()]
    assert len({one["worker"] for one in notes if one["stack"]}) == 1
    assert len({one["worker"] for one in notes}) == 2


def test_as_many_queues_as_stacks_at_once() -> None:
    """Of about one length; what needs no stack is in none."""
    selected = [Selected(f"test_{number}", "", (), None, "", "", (), stack=number != 2) for number in range(6)]
    assert queues(selected, 2) == {
        "test_0": "stacks 0", "test_1": "stacks 1", "test_3": "stacks 0", "test_4": "stacks 1", "test_5": "stacks 0",
    }  # fmt: skip
