"""The file of a full backup: what was written is read, and whatever else it may be is refused before it is used."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from rollback.archive import container
from rollback.archive.container import FORMAT, MANIFEST, MARK, Reader, Writer
from rollback.archive.manifest import Archive, Image, parse, parse_records
from rollback.archive.verify import saved
from rollback.database.backup.manifest import File
from rollback.database.backup.signing import Untrue

if TYPE_CHECKING:
    from pathlib import Path

KEY = pyrage.x25519.Identity.generate()
ID = "20240119T142000Z-beef"
MEMBERS = {"files/000000": b"SECRET=1\n", "images.tar": b"x" * 70_000, "backup/dump/1.dat": b""}
H = "0" * 64


def written(path: Path, *, sealed: bool = False) -> Writer:
    """An archive with these members and a manifest that is only text."""
    with path.open("xb") as file:
        one = Writer(file, ID, [KEY.to_public()] if sealed else [])
        one.begin("1")
        for name, content in MEMBERS.items():
            one.add(name, io.BytesIO(content))
        one.finish(b"manifest\n")
    return one


def tar(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, end: bytes = b"") -> Path:
    """A tar that somebody else has made."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for one in members:
            info, content = (one, b"") if isinstance(one, tarfile.TarInfo) else (tarfile.TarInfo(one[0]), one[1])
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    whole = path.read_bytes()
    with tarfile.open(path) as made:
        made.getmembers()
        path.write_bytes(whole[: made.offset] + b"\0" * 1024 + end)
    return path


def mark(**said: Any) -> tuple[str, bytes]:
    """The first member, as ours is but for what is said."""
    usual = {"what": "full backup of a SpherosegV4 deployment", "format": FORMAT, "archive": ID, "by": "1"}
    return MARK, json.dumps({**usual, **said}).encode()


def test_what_is_withdrawn_leaves_no_trace(tmp_path: Path) -> None:
    """A member that is read once more: the file is the same as if it had been read once; only the last one goes."""
    once, twice = tmp_path / "once.tar", tmp_path / "twice.tar"
    for path, tries in ((once, 1), (twice, 3)):
        with path.open("xb") as file:
            one = Writer(file, ID)
            one.begin("1")
            one.add("images.tar", io.BytesIO(b"i" * 700))
            for number in range(tries, 0, -1):
                one.add("volumes/a.tar", io.BytesIO(b"v" * number * 1300))
                if number > 1:
                    one.withdraw("volumes/a.tar")
            with pytest.raises(ValueError, match="not the last"):
                one.withdraw("images.tar")
            one.finish(b"manifest\n")
    assert once.read_bytes() == twice.read_bytes()
    assert Reader(twice).same(one.members)


@pytest.mark.parametrize("sealed", [False, True])
def test_what_was_written_is_read(tmp_path: Path, sealed: bool) -> None:  # noqa: FBT001 -- a parameter
    """Each member comes out as it went in; the manifest is the last; nothing of a sealed one can be read."""
    made = written(tmp_path / "a.tar", sealed=sealed)
    reader = Reader(tmp_path / "a.tar", [KEY], ID)
    assert reader.manifest() == b"manifest\n"
    assert reader.same(made.members).startswith("3 members, ")
    for name, content in MEMBERS.items():
        out = io.BytesIO()
        reader.pour(name, made.members[name], out, sealed=sealed)
        assert out.getvalue() == content
        assert made.members[name].content_sha256 == hashlib.sha256(content).hexdigest()
    assert (b"SECRET" in (tmp_path / "a.tar").read_bytes()) is not sealed


def test_a_cut_archive_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    """Also between two members, behind the last of them, and in the blocks that end it."""
    written(tmp_path / "a.tar")
    whole = (tmp_path / "a.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    for size in sorted({*range(0, len(whole), 512), *range(0, len(whole), 997), len(whole) - 1}):
        cut.write_bytes(whole[:size])
        with pytest.raises(Untrue):
            Reader(cut).index()
    cut.write_bytes(whole + b"\0" * 512)
    with pytest.raises(Untrue, match="no end"):
        Reader(cut).index()


def test_every_changed_bit_is_found(tmp_path: Path) -> None:
    """In a header, in a name, in a content, in the blocks between; but for what names the owner, which nobody reads."""
    made = written(tmp_path / "a.tar")
    path, whole = tmp_path / "b.tar", (tmp_path / "a.tar").read_bytes()
    unseen = []
    for place in [*range(0, 3000, 7), *range(3000, len(whole), 997)]:
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(bytes(changed))
        try:
            Reader(path).same(made.members)
        except Untrue:
            continue
        if Reader(path).manifest() == b"manifest\n":
            unseen.append(place)
    # a header has a checksum, so what is not seen is padding behind a content, or the version in the mark
    padding = [one for one in unseen if whole[one] != 0]
    assert all(whole[one : one + 1].isdigit() or one < 1024 for one in padding), padding


def test_a_wrong_digest_is_told_with_its_member(tmp_path: Path) -> None:
    """Of the same size and one bit different, of another size, missing, one too many."""
    made = written(tmp_path / "a.tar")
    members = dict(made.members)
    members["images.tar"] = members["images.tar"].model_copy(update={"sha256": H})
    with pytest.raises(Untrue, match=r"images\.tar was changed after it was written"):
        Reader(tmp_path / "a.tar").same(members)
    members["images.tar"] = members["images.tar"].model_copy(update={"size": 1})
    with pytest.raises(Untrue, match=r"images\.tar has 70000 bytes, 1 were written"):
        Reader(tmp_path / "a.tar").same(members)
    more = {**made.members, "volumes/x.tar": made.members["images.tar"]}
    with pytest.raises(Untrue, match=r"volumes/x\.tar is missing"):
        Reader(tmp_path / "a.tar").same(more)
    del members["images.tar"]
    with pytest.raises(Untrue, match=r"images\.tar is not in the manifest"):
        Reader(tmp_path / "a.tar").same(members)


def test_what_comes_out_is_compared(tmp_path: Path) -> None:
    """A sealed member in the place of another, and content that is not what went in."""
    made = written(tmp_path / "a.tar", sealed=True)
    reader = Reader(tmp_path / "a.tar", [KEY], "20240119T142000Z-dead")
    with pytest.raises(Untrue, match=f"inside it is the file images.tar of backup {ID}"):
        reader.pour("images.tar", made.members["images.tar"], io.BytesIO(), sealed=True)
    other = Reader(tmp_path / "a.tar", [pyrage.x25519.Identity.generate()], ID)
    with pytest.raises(Untrue, match="cannot be opened"):
        other.pour("images.tar", made.members["images.tar"], io.BytesIO(), sealed=True)
    reader = Reader(tmp_path / "a.tar", [KEY], ID)
    with pytest.raises(Untrue, match="does not hold what was put into it"):
        reader.pour("images.tar", made.members["files/000000"], io.BytesIO(), sealed=True)


def link(kind: bytes) -> tarfile.TarInfo:
    """A member that is no file."""
    one = tarfile.TarInfo("files/000000")
    one.type, one.linkname = kind, "/etc/passwd"
    return one


ELSEWHERE = (
    "upwards", "absolute", "upwards within", "dot", "hidden", "two slashes", "too long", "line end", "symbolic link",
    "hard link", "folder", "device", "fifo",
)  # fmt: skip


@pytest.mark.parametrize(
    "member",
    [
        ("../../etc/cron.d/x", b"x"),
        ("/etc/cron.d/x", b"x"),
        ("files/../../x", b"x"),
        ("files/./x", b"x"),
        (".hidden", b"x"),
        ("files//x", b"x"),
        ("a" * 200, b"x"),
        ("files/\n", b"x"),
        link(tarfile.SYMTYPE),
        link(tarfile.LNKTYPE),
        link(tarfile.DIRTYPE),
        link(tarfile.CHRTYPE),
        link(tarfile.FIFOTYPE),
    ],
    ids=ELSEWHERE,
)
def test_a_member_that_leads_elsewhere_is_refused(tmp_path: Path, member: Any) -> None:
    """Names that climb out, and members that are no plain files: the whole archive is refused, nothing is unpacked."""
    path = tar(tmp_path / "a.tar", mark(), member, (MANIFEST, b"{}"))
    with pytest.raises(Untrue, match="nothing was unpacked"):
        Reader(path).index()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.tar"]


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two would be read is nobody's guess."""
    path = tar(tmp_path / "a.tar", mark(), ("images.tar", b"1"), ("images.tar", b"2"), (MANIFEST, b"{}"))
    with pytest.raises(Untrue, match="in it twice"):
        Reader(path).index()


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (("manifest.json", b"{}"), "not a full backup of ours: its first member"),
        ((MARK, b"no JSON"), "its mark cannot be read"),
        ((MARK, b"[]"), "its mark cannot be read"),
        (mark(what="holiday pictures"), "it says 'holiday pictures'"),
        (mark(format="many"), "its mark cannot be read"),
        (mark(format=FORMAT + 1, by="9.9"), rf"is of format {FORMAT + 1}, written by version 9\.9; .* up to {FORMAT}"),
        (mark(archive="x" * 5000), "its first member"),
    ],
)
def test_what_is_not_ours_or_newer_says_so(tmp_path: Path, first: tuple[str, bytes], says: str) -> None:
    """Before anything else of it is read."""
    with pytest.raises(Untrue, match=says):
        Reader(tar(tmp_path / "a.tar", first, (MANIFEST, b"{}"))).index()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\0" * 4096, b"\xff" * 4096, "tür".encode() * 900])
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing, a zip, zeros, anything."""
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(Untrue):
        Reader(tmp_path / "a.tar").index()


def test_a_member_cannot_be_written_under_a_name_that_is_not_read(tmp_path: Path) -> None:
    """Writer and reader agree on names."""
    with (tmp_path / "a.tar").open("xb") as file:
        one = Writer(file, ID)
        with pytest.raises(Untrue):
            one.add("../x", io.BytesIO())
        one.add("x", io.BytesIO())
        with pytest.raises(ValueError, match="already"):
            one.add("x", io.BytesIO())


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    """What is told while it is written is what is in it."""
    told: list[int] = []
    with (tmp_path / "a.tar").open("xb") as file:
        Writer(file, ID, (), told.append).add("x", io.BytesIO(b"y" * 3_000_000))
    assert sum(told) == 3_000_000
    assert len(told) > 1
    assert container.FORMAT == FORMAT


def archive(**more: Any) -> dict[str, Any]:
    """What a manifest says."""
    one = Archive(
        format=1, id=ID, at=datetime(2024, 1, 19, 14, 20, tzinfo=UTC), project="spheroseg", backup=ID,
        backup_manifest=H, releases=["v4.0.0"], works_with=["012"], head="012",
        images=[Image(service="db", id=f"sha256:{H}", names=["db:15"])], volumes=[], sealed=False, by="1", seconds=1.0,
        members={"images.tar": File(size=1, sha256=H, content_size=1, content_sha256=H)},
    )  # fmt: skip
    return {**one.model_dump(mode="json"), **more}


def test_a_manifest_is_read_as_it_was_written() -> None:
    """By way of JSON, times too."""
    assert parse(json.loads(json.dumps(archive()))).at == datetime(2024, 1, 19, 14, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": FORMAT + 1},
        {"id": "../../x"},
        {"backup": "latest"},
        {"images": []},
        {"surprise": 1},
        {"volumes": [{"key": "r", "name": "../r", "service": "redis", "target": "/d", "member": "images.tar"}]},
        {"volumes": [{"key": "r", "name": "r", "service": "redis", "target": "/d", "member": "volumes/none.tar"}]},
    ],
)
def test_a_manifest_that_no_version_of_ours_writes_is_refused(wrong: dict[str, Any]) -> None:
    """Signed or not."""
    with pytest.raises(Untrue):
        parse(archive(**wrong))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "./a"])
def test_a_file_outside_of_the_checkout_is_refused(path: str) -> None:
    """No record of a file leads out of the folder that it is put back into."""
    record = {"path": path, "sha256": H, "mode": 0o600, "uid": 0, "gid": 0}
    raw = json.dumps({"groups": {"nginx": [record]}, "members": {path: "files/000000"}}).encode()
    with pytest.raises(Untrue, match=r"outside of the checkout: nothing was unpacked"):
        parse_records(raw)


def test_images_are_read_from_what_docker_saves(tmp_path: Path) -> None:
    """By the names and IDs of engines of before and after the change of the format; what is cut is refused."""
    said = [
        {"Config": f"{'1' * 64}.json", "RepoTags": ["db:15", "db:old"]},
        {"Config": f"blobs/sha256/{'2' * 64}", "RepoTags": ["redis:7"]},
        {"Config": f"{'3' * 64}.json", "RepoTags": None},
    ]
    path = tar(tmp_path / "images.tar", ("layer", b"x" * 100_000), ("manifest.json", json.dumps(said).encode()))
    with path.open("rb") as stream:
        found = saved(stream)
    assert found == {
        ("db:15", f"sha256:{'1' * 64}"),
        ("db:old", f"sha256:{'1' * 64}"),
        ("redis:7", f"sha256:{'2' * 64}"),
    }
    with pytest.raises(Untrue):
        saved(io.BytesIO(path.read_bytes()[:60_000]))
