"""Which files are migrations, in which order, and which file takes each of them back."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.outcome import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Found", "Migration", "find", "shown"]

_BESIDE = "rollback"
#: Number, then a name; `V1.2__name` and `U1.2__name` as Flyway writes them. A mark at the end says the direction.
_NAME = re.compile(
    r"(?P<letter>[VU])?(?P<number>\d+(?:[._]\d+(?=__|[._]\d))*)(?:__|[_-])(?P<name>.+?)"
    r"(?P<mark>[._-](?:up|down|rollback|undo|revert))?\.sql",
    re.IGNORECASE,
)
_DOWN = ("down", "rollback", "undo", "revert")


@dataclass(frozen=True)
class Migration:
    """One migration.

    Attributes:
        id: its file name without directions and `.sql`, unique in the folder.
        number: for the order; `1.10` comes after `1.9`.
        path: the file that takes the schema forward.
        rollback: the file that takes it back, if one was found.
        notes: what a reader should know about how it was found.
    """

    id: str
    number: tuple[int, ...]
    path: Path
    rollback: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What lies in a folder: migrations in order, and each thing that is neither one nor a rollback of one."""

    migrations: list[Migration]
    strangers: list[str]


@dataclass(frozen=True)
class _File:
    path: Path
    number: tuple[int, ...]
    name: str
    down: bool


def find(folder: Path, rollbacks: Path | None = None) -> Found:
    """Read the folder's names; rollbacks lie in `rollbacks` if given, beside their migrations, or in `rollback/`.

    Of two that could take a migration back the first in this order is taken and the other is reported.

    Raises:
        UsageError: a folder is not there, or no migration lies in it.
    """
    files, strangers = _sorted(folder, down=False)
    forward = [one for one in files if not one.down]
    if not forward:
        raise UsageError(
            f"There is no migration in {shown(folder)}: numbered files like 001_users.sql are looked for.",
            "name the folder that holds them",
        )
    beside = [one for one in files if one.down]
    back, more = _backwards(folder, rollbacks, beside)
    shared = Counter(one.number for one in forward)
    ordered = sorted(forward, key=lambda one: (one.number, one.name))
    migrations = [_with_rollback(one, back, alone=shared[one.number] == 1) for one in ordered]
    used = {one.rollback for one in migrations}
    unused = [f"{shown(one.path)}: a rollback that no migration needs" for one in back if one.path not in used]
    return Found(migrations, strangers + more + unused)


def _backwards(folder: Path, given: Path | None, beside: list[_File]) -> tuple[list[_File], list[str]]:
    """All rollbacks, those that go first at the front."""
    first, strangers = _sorted(given, down=True) if given else ([], [])
    inside = folder / _BESIDE
    if not inside.is_dir() or (given and inside.resolve() == given.resolve()):
        return first + beside, strangers
    last, more = _sorted(inside, down=True)
    return first + beside + last, strangers + more


def _sorted(folder: Path, *, down: bool) -> tuple[list[_File], list[str]]:
    """The files of a folder that have a number; the others as sentences. `down`: all of them are rollbacks."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {shown(folder)}.", "name a folder of SQL files")
    files, strangers = [], []
    for path in sorted(folder.iterdir()):
        found = _NAME.fullmatch(path.name) if path.is_file() else None
        if found:
            files.append(_file(path, found, down=down))
        elif not (path.is_dir() and path.name == _BESIDE):
            strangers.append(f"{shown(path)}: {_why_not(path)}")
    return files, strangers


def _file(path: Path, found: re.Match[str], *, down: bool) -> _File:
    mark = (found["mark"] or "").lstrip("._-").lower()
    number = tuple(int(one) for one in re.split(r"[._]", found["number"]))
    undo = (found["letter"] or "").upper() == "U"
    return _File(path, number, found["name"], down or mark in _DOWN or undo)


def _why_not(path: Path) -> str:
    if path.is_dir():
        return "a folder, not looked into"
    if not path.is_file():
        return "a link to nothing or no plain file"
    return "SQL without a number in its name" if path.suffix.lower() == ".sql" else "not SQL"


def _with_rollback(one: _File, back: Iterable[_File], *, alone: bool) -> Migration:
    """By number and name; where the number is nobody else's, by number alone."""
    same = [other for other in back if other.number == one.number]
    named = [other for other in same if other.name.lower() == one.name.lower()]
    fits = named or (same if alone else [])
    notes = [] if alone else ["shares its number with another migration; ordered by name"]
    if fits and not named:
        notes.append(f"its rollback {shown(Path(fits[0].path.name))} has the same number and another name")
    identity = re.sub(r"(?i)([._-]up)?\.sql$", "", one.path.name)
    return Migration(shown(Path(identity)), one.number, one.path, fits[0].path if fits else None, tuple(notes))


def shown(path: Path) -> str:
    """A path that can be printed, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
