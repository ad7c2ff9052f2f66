"""Room for a full backup: added up a disk, told with both figures, and a layer that images share counts once."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from rollback.archive import room
from rollback.archive.room import Place, enough, images
from rollback.archive.take import _unless_broken
from rollback.engine import Engine
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.commands import Argv

MEGA = 1_000_000


def place(folder: Path, what: str, **parts: int) -> Place:
    """Something to be written, in MB."""
    return Place(what, folder, {name: size * MEGA for name, size in parts.items()}, "make room")


def test_what_goes_to_one_disk_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would fit alone; the folders need not be there yet."""
    monkeypatch.setattr(room, "free", lambda _folder: 300 * MEGA)
    backup, whole = (
        place(tmp_path / "a/b", "The backup", database=200),
        place(tmp_path / "c", "All", images=90, rest=20),
    )
    enough([backup])
    enough([whole])
    told = (
        r"All needs about 110 MB in .*/c \(images 90, rest 20\), and 300 MB are free there, and 200 MB go there beside"
    )
    with pytest.raises(Refused, match=told) as refusal:
        enough([backup, whole])
    assert refusal.value.next_step == "make room"
    with pytest.raises(Refused, match="The backup needs about 301 MB"):
        enough([place(tmp_path, "The backup", database=301), whole])


class Layered(Engine):
    """An engine with two images that stand on a third."""

    def ask(self, argv: Argv, **_more: object) -> str:
        """The layers of one."""
        base = [("1", "imported", 100), ("2", "apt", 20), ("2", "LABEL", 0)]
        own = {"a": [("3", "COPY a", 5)], "b": [("3", "COPY b", 7)], "base": []}[argv[-1]]
        lines = [{"CreatedAt": at, "CreatedBy": by, "Size": str(size)} for at, by, size in [*own, *base]]
        return "\n".join(map(json.dumps, lines))


def test_a_shared_layer_counts_once(tmp_path: Path) -> None:
    """Whoever names an image twice, too."""
    assert images(Layered(tmp_path), ["a"]) == 125
    assert images(Layered(tmp_path), ["a", "b", "base", "a"]) == 132
    assert images(Layered(tmp_path), []) == 0


def test_half_an_archive_is_never_left(tmp_path: Path) -> None:
    """Whatever ends it; a disk that is full is a sentence with the next step."""
    part = tmp_path / ".part-x"
    with pytest.raises(Failed, match=rf"could not be written: {tmp_path}: No space left on device\.") as told:
        _broken(part, OSError(errno.ENOSPC, "No space left on device"))
    assert "nothing half-made was left" in told.value.next_step
    for error in (KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(error)):
            _broken(part, error)
    assert list(tmp_path.iterdir()) == []


def _broken(part: Path, error: BaseException) -> None:
    with _unless_broken(part) as file:
        file.write(b"half")
        raise error
