"""Files as parts: what comes back is what was captured, byte for byte, and never half of it."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from rollback.outcome import Exit, Refused
from rollback.parts import files

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {
    "plain.env": b"A=1\n",
    "crlf.env": b"A=1\r\nB=2\r\n",
    "no line end": b"A=1",
    "empty": b"",
    "binary.pem": bytes(range(256)) * 9,
    "nginx/conf d/größe ß.conf": "# ü\n".encode(),
    "nginx/.hidden": b"x",
    "nginx/deep/er/a.conf": b"y",
    "-rf": b"z",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with ordinary and odd files."""
    root = tmp_path / "check out ü"
    for name, content in CONTENTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(0o640)
    return root


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder with content and mode; a left-over would show."""
    found = [one for one in root.rglob("*") if one.is_file()]
    return {str(one.relative_to(root)): (one.read_bytes(), stat.S_IMODE(one.stat().st_mode)) for one in found}


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_capture_and_restore_is_the_identity(checkout: Path, tmp_path: Path) -> None:
    """Whatever happens to the files in between, they come back byte for byte, with their mode and nothing beside."""
    before = tree(checkout)
    records = files.capture(checkout, CONTENTS, tmp_path / "store")
    for number, name in enumerate(CONTENTS):
        if number % 3 == 0:
            (checkout / name).unlink()
        else:
            (checkout / name).write_bytes(b"other\r\n")
            (checkout / name).chmod(0o777)
    assert sorted(files.differing(checkout, records)) == sorted(CONTENTS)
    files.restore(checkout, records, tmp_path / "store")
    assert tree(checkout) == before
    assert files.differing(checkout, records) == []


def test_a_folder_that_is_gone_comes_back(checkout: Path, tmp_path: Path) -> None:
    """Files are put back where even their folder is missing."""
    records = files.capture(checkout, ["nginx"], tmp_path / "store")
    before = tree(checkout / "nginx")
    (checkout / "nginx").rename(tmp_path / "elsewhere")
    files.restore(checkout, records, tmp_path / "store")
    assert tree(checkout / "nginx") == before


def test_restoring_twice_is_restoring_once(checkout: Path, tmp_path: Path) -> None:
    """A restore that was killed at any point is repaired by running it again, its own left-over included."""
    before = tree(checkout)
    records = files.capture(checkout, CONTENTS, tmp_path / "store")
    (checkout / ".plain.env.rollback").write_bytes(b"half of i")
    for _ in range(2):
        files.restore(checkout, records, tmp_path / "store")
        assert tree(checkout) == before


def test_the_copies_are_private(checkout: Path, tmp_path: Path) -> None:
    """Copies hold secrets: no copy can be read by anybody else."""
    (tmp_path / "store").mkdir(mode=0o700)
    files.capture(checkout, CONTENTS, tmp_path / "store")
    assert {bits for _, bits in tree(tmp_path / "store").values()} == {0o600}


def test_records_say_content_mode_and_owner(checkout: Path, tmp_path: Path) -> None:
    """A record is enough to judge a file later, and survives the manifest."""
    (record,) = files.capture(checkout, ["crlf.env"], tmp_path / "store")
    digest = sha256(CONTENTS["crlf.env"]).hexdigest()
    assert record == files.FileRecord("crlf.env", digest, 0o640, os.getuid(), (checkout / "crlf.env").stat().st_gid)
    assert files.FileRecord(**record.as_json()) == record  # type: ignore[arg-type]


def test_folders_are_listed_whole_and_absent_names_are_absent(checkout: Path) -> None:
    """A folder means all files below it, hidden ones too; a name that is not there is no error and no file."""
    found = files.listed(checkout, ["nginx", "nginx/.hidden", "empty", "absent", "absent folder/x"])
    assert found == sorted(["empty", "nginx/.hidden", "nginx/conf d/größe ß.conf", "nginx/deep/er/a.conf"])
    assert files.listed(checkout, []) == []


def test_nothing_to_capture_captures_nothing(checkout: Path, tmp_path: Path) -> None:
    """Absent names leave no record and no copy."""
    assert files.capture(checkout, ["absent"], tmp_path / "store") == []
    assert tree(tmp_path / "store") == {}


@pytest.mark.parametrize("change", ["content", "mode", "gone", "folder"])
def test_any_difference_is_named(checkout: Path, tmp_path: Path, change: str) -> None:
    """A file differs by content, by mode, by being gone and by being something else; the others do not."""
    records = files.capture(checkout, CONTENTS, tmp_path / "store")
    path = checkout / "plain.env"
    if change == "content":
        path.write_bytes(b"A=2\n")
    elif change == "mode":
        path.chmod(0o644)
    else:
        path.unlink()
    if change == "folder":
        path.mkdir()
    assert files.differing(checkout, records) == ["plain.env"]


def test_a_restored_file_is_another_file_under_the_same_name(checkout: Path, tmp_path: Path) -> None:
    """It is replaced by a rename: who has the old one open reads it to its end, nobody reads a mixture."""
    records = files.capture(checkout, ["plain.env"], tmp_path / "store")
    path = checkout / "plain.env"
    path.write_bytes(b"new content\n")
    inode = path.stat().st_ino
    with path.open("rb") as reader:
        files.restore(checkout, records, tmp_path / "store")
        assert reader.read() == b"new content\n"
    assert path.stat().st_ino != inode
    assert path.read_bytes() == b"A=1\n"


def interrupt(*_: object) -> None:
    """What a Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["shutil.copyfile", "os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_an_interrupted_restore_leaves_the_old_file_whole(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Wherever it is cut before the rename, the file is the old one; another run finishes it."""
    records = files.capture(checkout, ["plain.env"], tmp_path / "store")
    (checkout / "plain.env").write_bytes(b"current\n")
    monkeypatch.setattr(where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.restore(checkout, records, tmp_path / "store")
    monkeypatch.undo()
    assert (checkout / "plain.env").read_bytes() == b"current\n"
    files.restore(checkout, records, tmp_path / "store")
    assert set(tree(checkout)) == set(CONTENTS)
    assert (checkout / "plain.env").read_bytes() == b"A=1\n"


@pytest.mark.parametrize("left_over", [False, True], ids=["clean", "after a kill"])
def test_a_secret_is_never_readable_on_its_way(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, left_over: bool
) -> None:
    """Content is private from its first byte, not only from its last step, whatever lay there before."""
    store, temporary = tmp_path / "store", checkout / ".plain.env.rollback"
    records = files.capture(checkout, ["plain.env"], store)
    if left_over:
        temporary.touch(mode=0o644)
        (store / "plain.env").chmod(0o644)
    for work in (
        lambda: files.restore(checkout, records, store),
        lambda: files.capture(checkout, ["plain.env"], store),
    ):
        monkeypatch.setattr("shutil.copyfile", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work()
    assert (mode(temporary), mode(store / "plain.env")) == (0o600, 0o600)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_copy_is_refused_before_anything_is_put_back(checkout: Path, tmp_path: Path, damage: str) -> None:
    """A copy that is missing or not what was recorded is named; a whole store is accepted."""
    store = tmp_path / "store"
    records = files.capture(checkout, CONTENTS, store)
    files.verify_store(records, store)
    if damage == "missing":
        (store / "crlf.env").unlink()
    else:
        (store / "crlf.env").write_bytes(b"A=1\nB=2\n")
    with pytest.raises(Refused, match=f"The recorded copy of crlf.env in .* is {damage}") as caught:
        files.verify_store(records, store)
    assert caught.value.exit is Exit.REFUSED


@pytest.mark.parametrize("bits", [0o600, 0o644, 0o640, 0o755])
def test_writing_keeps_the_mode_of_what_it_replaces(tmp_path: Path, bits: int) -> None:
    """A written file has the bits of the file before it, by way of a rename, with nothing left beside."""
    path = tmp_path / "upstream.conf"
    path.write_text("old")
    path.chmod(bits)
    inode = path.stat().st_ino
    files.write(path, "neu: ü\n")
    assert tree(tmp_path) == {"upstream.conf": ("neu: ü\n".encode(), bits)}
    assert path.stat().st_ino != inode


def test_a_new_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    """Without a file before it: as asked, and else readable like any other configuration."""
    files.write(tmp_path / "a", "x", mode=0o600)
    files.write(tmp_path / "b", "x")
    assert (mode(tmp_path / "a"), mode(tmp_path / "b")) == (0o600, 0o644)


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_an_interrupted_write_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A half-written file never stands under its name."""
    path = tmp_path / "upstream.conf"
    path.write_text("old")
    monkeypatch.setattr(where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    files.write(path, "new")
    assert tree(tmp_path).keys() == {"upstream.conf"}


def test_links_as_certbot_makes_them_are_put_back_as_links(tmp_path: Path) -> None:
    """live/ leads to archive/: a renewal needs it so; a link to elsewhere is kept as what is behind it."""
    root, store = tmp_path / "there", tmp_path / "store"
    (root / "conf/archive/x").mkdir(parents=True)
    (root / "conf/live/x").mkdir(parents=True)
    (root / "conf/archive/x/cert1.pem").write_text("one", encoding="utf-8")
    (root / "conf/live/x/cert.pem").symlink_to("../../archive/x/cert1.pem")
    (root / "conf/live/latest").symlink_to("x")
    (root / "conf/gone.pem").symlink_to("nowhere.pem")
    (tmp_path / "elsewhere.pem").write_text("outside", encoding="utf-8")
    (root / "conf/out.pem").symlink_to(tmp_path / "elsewhere.pem")
    records = files.capture(root, ["conf"], store)
    files.verify_store(records, store)
    links = {one.path: one.link for one in records if one.link}
    assert links == {
        "conf/gone.pem": "nowhere.pem",
        "conf/live/latest": "x",
        "conf/live/x/cert.pem": "../../archive/x/cert1.pem",
    }
    again = tmp_path / "again"
    (again / "conf/live/x").mkdir(parents=True)
    (again / "conf/live/x/cert.pem").write_text("a file in its place", encoding="utf-8")
    assert "conf/live/x/cert.pem" in files.differing(again, records)
    files.restore(again, records, store)
    assert files.differing(again, records) == []
    assert (again / "conf/live/x/cert.pem").is_symlink()
    assert (again / "conf/live/latest/cert.pem").read_text(encoding="utf-8") == "one"
    assert (again / "conf/out.pem").read_text(encoding="utf-8") == "outside"
    assert not (again / "conf/out.pem").is_symlink()
