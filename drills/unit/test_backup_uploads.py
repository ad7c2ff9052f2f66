"""The tar of the uploads is read to its end, and rows are compared with files by name and hash."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from rollback.database.backup.signing import Untrue, digest
from rollback.database.backup.uploads import Strays, described, strays

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"a.png": b"x" * 1000, "sub/b ü.png": b"", "c.png": b"y" * 512}


def packed(path: Path) -> bytes:
    """A tar as `docker cp` writes it: names below `./`, folders too, two blocks of zeros at the end."""
    with tarfile.open(path, "w") as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in FILES.items():
            one = tarfile.TarInfo(f"./{name}")
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    return path.read_bytes()


def test_every_file_is_described(tmp_path: Path) -> None:
    """With its path in the volume."""
    packed(tmp_path / "t")
    assert described(tmp_path / "t") == {name: digest(content) for name, content in FILES.items()}


def test_a_tar_cut_at_any_block_is_refused(tmp_path: Path) -> None:
    """Between two members as well, where tarfile alone sees a shorter archive that is whole."""
    raw = packed(tmp_path / "t")
    content = len(raw.rstrip(b"\0"))
    for cut in range(0, content, 512):
        (tmp_path / "t").write_bytes(raw[:cut])
        with pytest.raises(Untrue):
            described(tmp_path / "t")


def test_rows_and_files_that_do_not_fit_are_named() -> None:
    """A row that states no hash is content with any."""
    found = strays({"a": "1", "b": "2", "c": "", "d": "4"}, {"a": "1", "b": "9", "c": "7", "e": "5"})
    assert found == Strays(without_file=["d"], without_row=["e"], changed=["b"])
    assert "1 rows without a file (the first: d)" in str(found)
