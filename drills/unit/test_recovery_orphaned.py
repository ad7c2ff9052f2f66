"""The checkout is gone, and an archive is all there is: it is believed by its key's fingerprint, and by no less."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollback.archive.container import Writer
from rollback.archive.manifest import KEY, RECORDS, Archive, Image
from rollback.database.backup.signing import Keys, same_fingerprint
from rollback.outcome import Refused, UsageError
from rollback.recovery.orphaned import put_back
from rollback.settings import FILE

TOML = (Path(__file__).parents[2] / "fixtures" / "spheroseg" / FILE).read_bytes()
H = "0" * 64
ID = "20240119T120000Z-beef"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Of the deployment that is gone."""
    return Keys(tmp_path / "elsewhere" / "signing.key").made()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder where the checkout was."""
    found = tmp_path / "check out ü"
    found.mkdir()
    return found


def archive(path: Path, signed: Keys, *, brings: Keys | None = None, sealed: bool = False, toml: bytes = TOML) -> str:
    """An archive whose rollback.toml is this; signed by one key, and bringing that or another one, or none."""
    record = {"path": FILE, "sha256": hashlib.sha256(TOML).hexdigest(), "mode": 0o640, "uid": 0, "gid": 0}
    listed = {"groups": {"deployment": [record]}, "members": {FILE: "files/000000"}}
    with path.open("xb") as file:
        one = Writer(file, ID)
        one.begin("1")
        if brings is not None:
            one.add(KEY, io.BytesIO(brings.public_path.read_bytes()))
        one.add("files/000000", io.BytesIO(toml))
        one.add(RECORDS, io.BytesIO(json.dumps(listed).encode()))
        found = Archive(
            format=1, id=ID, at=datetime(2024, 1, 19, 12, tzinfo=UTC), project="spheroseg", backup=ID,
            backup_manifest=H, releases=[], works_with=[], head="012", volumes=[], sealed=sealed, by="1", seconds=1.0,
            images=[Image(service="db", id=f"sha256:{H}", names=["db:15"])], members=one.members,
        )  # fmt: skip
        one.finish(signed.sign("full backup", found.model_dump(mode="json")))
    return str(path)


def test_nothing_is_touched_where_nothing_is_missing(root: Path, keys: Keys) -> None:
    """A checkout that is there keeps its own; the archive is not even looked at."""
    (root / FILE).write_bytes(TOML)
    Keys(root / ".rollback/signing.key").made()
    before = {one: one.read_bytes() for one in root.rglob("*") if one.is_file()}
    assert put_back(root, archive(root.parent / "a.tar", keys, brings=keys), keys.fingerprint(), touch=True) == []
    assert {one: one.read_bytes() for one in root.rglob("*") if one.is_file() and one.suffix != ".tar"} == before


def test_the_fingerprint_is_told_and_asked_for(root: Path, keys: Keys) -> None:
    """Without it nothing is written; with it, grouped or not, both files are there as they were."""
    file, wanted = archive(root.parent / "a.tar", keys, brings=keys), keys.fingerprint()
    for given, touch in ((None, True), (None, False), (wanted, False)):
        with pytest.raises(Refused, match=wanted) as refusal:
            put_back(root, file, given, touch=touch)
        assert f"--fingerprint {wanted}" in refusal.value.next_step
        assert list(root.iterdir()) == []
    assert put_back(root, file, wanted.replace(":", "").upper(), touch=True) == [
        FILE,
        str(root / ".rollback/signing.pub"),
    ]
    assert ((root / FILE).read_bytes(), (root / FILE).stat().st_mode & 0o777) == (TOML, 0o640)
    assert (root / ".rollback/signing.pub").read_bytes() == keys.public_path.read_bytes()
    assert not (root / ".rollback/signing.key").exists()
    assert put_back(root, file, None, touch=True) == []


def test_the_key_alone_comes_back_too(root: Path, keys: Keys) -> None:
    """Where rollback.toml is there, it stays as it is."""
    (root / FILE).write_bytes(TOML + b"# ours\n")
    file = archive(root.parent / "a.tar", keys, brings=keys)
    with pytest.raises(Refused, match=r"signing\.pub is gone"):
        put_back(root, file, None, touch=True)
    assert put_back(root, file, keys.fingerprint(), touch=True) == [str(root / ".rollback/signing.pub")]
    assert (root / FILE).read_bytes().endswith(b"# ours\n")


@pytest.mark.parametrize("other", ["", "beef", "0" * 32, "0000:" * 8])
def test_another_fingerprint_is_refused(root: Path, keys: Keys, other: str) -> None:
    """Also one that is the beginning of the right one."""
    file = archive(root.parent / "a.tar", keys, brings=keys)
    for wrong in (other, keys.fingerprint()[:20]):
        with pytest.raises(Refused, match=r"is signed by the key .* not by"):
            put_back(root, file, wrong, touch=True)
    assert not same_fingerprint("", "")
    assert list(root.iterdir()) == []


def test_a_stolen_key_does_not_sign(root: Path, keys: Keys, tmp_path: Path) -> None:
    """An archive that brings the right public key and was signed by another one; one that was changed; one cut."""
    other = Keys(tmp_path / "other" / "signing.key").made()
    forged = archive(root.parent / "forged.tar", other, brings=keys)
    with pytest.raises(Refused, match="its signature is not that of this deployment"):
        put_back(root, forged, keys.fingerprint(), touch=True)
    changed = Path(archive(root.parent / "changed.tar", keys, brings=keys))
    raw = bytearray(changed.read_bytes())
    raw[raw.index(b"[deployment]") + 2] ^= 1
    changed.write_bytes(bytes(raw))
    with pytest.raises(Refused, match="was changed after it was written"):
        put_back(root, str(changed), keys.fingerprint(), touch=True)
    changed.write_bytes(bytes(raw[:4000]))
    with pytest.raises(Refused, match="cannot stand for a checkout that is gone"):
        put_back(root, str(changed), keys.fingerprint(), touch=True)
    assert list(root.iterdir()) == []


def test_what_cannot_be_had_from_the_archive_says_where_to_get_it(root: Path, keys: Keys) -> None:
    """An archive of before without a key, a sealed one, another rollback.toml than its record, no file at all."""
    here, right = root.parent, keys.fingerprint()
    with pytest.raises(Refused, match=r"signing\.pub is missing"):
        put_back(root, archive(here / "old.tar", keys), right, touch=True)
    with pytest.raises(Refused, match="lies sealed") as refusal:
        put_back(root, archive(here / "sealed.tar", keys, brings=keys, sealed=True), right, touch=True)
    assert "identity_file" in refusal.value.next_step
    with pytest.raises(Refused, match=r"holds no rollback\.toml"):
        put_back(root, archive(here / "odd.tar", keys, brings=keys, toml=b"x"), right, touch=True)
    with pytest.raises(UsageError, match="no file nothing"):
        put_back(root, "nothing", right, touch=True)
    with pytest.raises(UsageError, match=r"There is no rollback\.toml"):
        put_back(root, None, None, touch=True)
    assert list(root.iterdir()) == []
