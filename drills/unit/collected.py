"""Every drill that there is, as its marker has it; unit tests make up their own and are none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]


class Marked(NamedTuple):
    """One drill as its marker has it."""

    id: str
    section: str
    objective: float | None
    brings: tuple[str, ...]
    marks: frozenset[str]


def marked(path: Path) -> Iterator[Marked]:
    """Each drill of a module, those of a parametrized test one by one."""
    spec = importlib.util.spec_from_file_location(f"told_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # its dataclasses look for it there
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    everywhere = getattr(module, "pytestmark", [])
    for test in (one for name, one in vars(module).items() if name.startswith("test_")):
        own = [*everywhere, *getattr(test, "pytestmark", [])]
        rows = [
            one.marks for mark in own if mark.name == "parametrize" for one in mark.args[1] if hasattr(one, "marks")
        ]
        for row in rows or [()]:
            marks = [one.mark if isinstance(one, pytest.MarkDecorator) else one for one in (*own, *row)]
            names = frozenset(one.name for one in marks)
            yield from (_drill(one.kwargs, names) for one in marks if one.name == "drill")


def _drill(facts: Mapping[str, Any], marks: frozenset[str]) -> Marked:
    return Marked(facts["id"], facts["section"], facts["objective"], facts.get("brings", ()), marks)


DRILLS = [
    one for path in sorted((ROOT / "drills").rglob("test_*.py")) if "unit" not in path.parts for one in marked(path)
]
