"""Which files are migrations and which take them back, from their names alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rollback.database.migrations.find import find
from rollback.outcome import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *names: str) -> Path:
    """Empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


PAIRS = {
    "beside": (["001_x.sql", "001_x_rollback.sql"], ("001_x", "001_x_rollback.sql")),
    "in rollback": (["001_x.sql", "rollback/001_x_rollback.sql"], ("001_x", "001_x_rollback.sql")),
    "in rollback by the same name": (["001_x.sql", "rollback/001_x.sql"], ("001_x", "001_x.sql")),
    "date": (["20240119_x.sql", "20240119_x_rollback.sql"], ("20240119_x", "20240119_x_rollback.sql")),
    "up and down": (["1_x.up.sql", "1_x.down.sql"], ("1_x", "1_x.down.sql")),
    "Flyway": (["V1__x.sql", "U1__x.sql"], ("V1__x", "U1__x.sql")),
    "Flyway with parts": (["V1.2__x.sql", "U1.2__x.sql"], ("V1.2__x", "U1.2__x.sql")),
    "dash": (["001-x-y.sql", "001-x-y-rollback.sql"], ("001-x-y", "001-x-y-rollback.sql")),
    "capitals": (["001_X.SQL", "001_x_ROLLBACK.SQL"], ("001_X", "001_x_ROLLBACK.SQL")),
    "another name": (["001_x.sql", "rollback/001_other.sql"], ("001_x", "001_other.sql")),
    "none": (["001_x.sql"], ("001_x", None)),
    "beside goes before rollback": (
        ["001_x.sql", "001_x_down.sql", "rollback/001_x.sql"], ("001_x", "001_x_down.sql")),
    "a name that ends like a mark": (["001_setup.sql", "001_setup_down.sql"], ("001_setup", "001_setup_down.sql")),
}  # fmt: skip


@pytest.mark.parametrize(("names", "expected"), PAIRS.values(), ids=PAIRS)
def test_each_migration_has_its_rollback(tmp_path: Path, names: list[str], expected: tuple[str, str | None]) -> None:
    """By number and name, in the ways in which teams write them."""
    (one,) = find(write(tmp_path, *names)).migrations
    assert (one.id, one.rollback.name if one.rollback else None) == expected


def test_the_order_is_that_of_numbers(tmp_path: Path) -> None:
    """Not of texts: 10 comes after 9, 1.10 after 1.9."""
    write(tmp_path, "10_c.sql", "9_b.sql", "V1.10__b.sql", "V1.9__a.sql", "002_a.sql")
    assert [one.id for one in find(tmp_path).migrations] == ["V1.9__a", "V1.10__b", "002_a", "9_b", "10_c"]


def test_a_shared_number_needs_the_name(tmp_path: Path) -> None:
    """A rollback with another name is nobody's when the number is two migrations'."""
    found = find(write(tmp_path, "001_a.sql", "001_b.sql", "rollback/001_b.sql", "rollback/001_c.sql"))
    assert [one.rollback.name if one.rollback else None for one in found.migrations] == [None, "001_b.sql"]
    assert all("shares its number" in one.notes[0] for one in found.migrations)
    assert [one.endswith("001_c.sql: a rollback that no migration needs") for one in found.strangers] == [True]


def test_a_given_folder_goes_first(tmp_path: Path) -> None:
    """What lies beside is then reported, not mixed in."""
    write(tmp_path, "m/001_x.sql", "m/001_x_rollback.sql", "back/001_x_rollback.sql")
    found = find(tmp_path / "m", tmp_path / "back")
    assert found.migrations[0].rollback == tmp_path / "back/001_x_rollback.sql"
    assert [one.endswith("a rollback that no migration needs") for one in found.strangers] == [True]


STRANGERS = {
    "no number": ("users.sql", "SQL without a number in its name"),
    "not SQL": ("001_x.py", "not SQL"),
    "folder": ("old/001_x.sql", "a folder, not looked into"),
    "rollback without migration": ("002_y_rollback.sql", "a rollback that no migration needs"),
    "hidden": (".gitkeep", "not SQL"),
}


@pytest.mark.parametrize(("name", "why"), STRANGERS.values(), ids=STRANGERS)
def test_nothing_is_ignored_in_silence(tmp_path: Path, name: str, why: str) -> None:
    """Each thing that is neither is named with the reason."""
    (stranger,) = find(write(tmp_path, "001_x.sql", name)).strangers
    assert stranger == f"{tmp_path / name.partition('/')[0]}: {why}"


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are shown as escapes."""
    (tmp_path / os.fsdecode(b"001_\xff.sql")).write_bytes(b"")
    (one,) = find(tmp_path).migrations
    assert one.id == "001_\\xff"


def test_a_folder_without_migrations_is_a_sentence(tmp_path: Path) -> None:
    """With what is looked for."""
    with pytest.raises(UsageError, match=r"There is no migration in .* 001_users\.sql"):
        find(write(tmp_path, "readme.md"))
    with pytest.raises(UsageError, match="There is no folder"):
        find(tmp_path / "none")
    with pytest.raises(UsageError, match="There is no folder"):
        find(write(tmp_path, "001_x.sql"), tmp_path / "none")
