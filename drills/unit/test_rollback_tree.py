"""A part that is a tree of files: put back, what was added set aside, and taken back again to what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.parts import files
from rollback.parts.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["nginx"]
SPARED = ["nginx/upstream.conf"]
RELEASE = {"nginx/nginx.conf": "good\n", "nginx/inc/größe.conf": "ü\n", "nginx/upstream.conf": "of the release\n"}
NOW = {"nginx/nginx.conf": "broken\n", "nginx/upstream.conf": "of now\n", "nginx/tried at 3.conf": "stray\n"}


def laid(root: Path, what: dict[str, str]) -> Path:
    """A checkout with these files."""
    for name, text in what.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def there(root: Path) -> dict[str, str]:
    """All files below a folder."""
    return {str(p.relative_to(root)): p.read_text(encoding="utf-8") for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A checkout that differs from the release in every way."""
    recorded = laid(tmp_path / "then", RELEASE)
    records = files.capture(recorded, NAMES, tmp_path / "store")
    return Tree(laid(tmp_path / "now", NOW), NAMES, SPARED, records, tmp_path / "store", tmp_path / "aside")


def test_what_differs_is_told(tree: Tree) -> None:
    """Changed and missing files differ, added ones are told apart, spared ones are neither."""
    assert sorted(tree.differing()) == ["nginx/inc/größe.conf", "nginx/nginx.conf"]
    assert tree.added() == ["nginx/tried at 3.conf"]


def test_put_back_and_set_aside(tree: Tree) -> None:
    """The release's files are back, the spared one says what runs now, and the stray one is kept elsewhere."""
    tree.put_back()
    assert there(tree.root) == {**RELEASE, "nginx/upstream.conf": "of now\n"}
    assert there(tree.aside) == {"nginx/tried at 3.conf": "stray\n"}
    assert (tree.differing(), tree.added()) == ([], [])


def test_a_kill_in_the_middle_is_nothing_to_a_second_try(tree: Tree) -> None:
    """Half of the files are back: the same again makes it whole."""
    files.restore(tree.root, tree.wanted()[:1], tree.store)
    tree.put_back()
    tree.put_back()
    assert there(tree.root) == {**RELEASE, "nginx/upstream.conf": "of now\n"}


def test_laid_out_elsewhere_the_checkout_is_not_touched(tree: Tree, tmp_path: Path) -> None:
    """As it will be, with the spared file as it is now."""
    tree.laid_out(tmp_path / "out")
    assert there(tmp_path / "out") == {**RELEASE, "nginx/upstream.conf": "of now\n"}
    assert there(tree.root) == NOW


def test_taken_back_it_is_what_it_was(tree: Tree, tmp_path: Path) -> None:
    """Every file of before is there again, also the one that was set aside, and none that was not."""
    before = files.capture(tree.root, NAMES, tmp_path / "before")
    tree.put_back()
    tree.take_back(before, tmp_path / "before")
    assert there(tree.root) == NOW
