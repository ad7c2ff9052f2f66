"""Sealed files stay what and where they were; signed statements are what was said, to the byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from rollback.database.backup import seal
from rollback.database.backup.manifest import Manifest, new_id, parse, taken_at
from rollback.database.backup.signing import Keys, Untrue, digest
from rollback.outcome import Refused, UsageError

if TYPE_CHECKING:
    from pathlib import Path

KEY = pyrage.x25519.Identity.generate()
SIZES = [0, 1, 65_535, 65_536, 65_537, 300_000]
H = "0" * 64


def sealed(folder: Path, content: bytes, name: str = "dump/1.dat.gz", backup: str = "b1") -> Path:
    """A sealed file."""
    (folder / "plain").write_bytes(content)
    target = folder / f"{name.replace('/', '_')}.{backup}"
    seal.seal_file(folder / "plain", target, backup=backup, name=name, to=[KEY.to_public()])
    return target


def opened(path: Path, name: str = "dump/1.dat.gz", backup: str = "b1", by: Any = KEY) -> bytes:
    """What is in it."""
    target = path.with_name("out")
    target.unlink(missing_ok=True)
    got = seal.open_file(path, target, backup=backup, name=name, by=[by])
    assert got == (digest(target.read_bytes()), target.stat().st_size)
    return target.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_opened(tmp_path: Path, size: int) -> None:
    """Around the borders of age's blocks too; and newlines and header-like bytes are content."""
    content = (b"rollback backup 1\n\n{}" * 20_000)[:size]
    path = sealed(tmp_path, content)
    assert opened(path) == content
    assert size < 20 or content not in path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_every_change_to_a_sealed_file_is_refused(tmp_path: Path, size: int) -> None:
    """A bit anywhere, a cut anywhere, a byte more."""
    path = sealed(tmp_path, b"x" * size)
    whole = path.read_bytes()
    places = sorted({*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1})
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1
        for data in (bytes(changed), whole[:place], whole + b"\0"):
            path.write_bytes(data)
            with pytest.raises(Untrue):
                opened(path)
    path.write_bytes(whole)
    assert opened(path) == b"x" * size


def test_a_file_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    """By age alone it would open: the name and the backup are inside."""
    path = sealed(tmp_path, b"rows")
    with pytest.raises(Untrue, match=r"inside it is the file dump/1\.dat\.gz of backup b1"):
        opened(path, name="dump/2.dat.gz")
    with pytest.raises(Untrue, match="of backup b1"):
        opened(path, backup="b2")


def test_another_identity_does_not_open_it(tmp_path: Path) -> None:
    """Whoever is not a recipient."""
    with pytest.raises(Untrue, match="cannot be opened"):
        opened(sealed(tmp_path, b"rows"), by=pyrage.x25519.Identity.generate())


@pytest.mark.parametrize("content", [b"", b"rows", b"rollback backup 1\n", b"x" * 70_000, b"rollback backup 1\n[]\n"])
def test_what_was_sealed_by_age_alone_is_no_file_of_a_backup(tmp_path: Path, content: bytes) -> None:
    """Without a header, or with one of somebody else's."""
    path = tmp_path / "sealed"
    path.write_bytes(pyrage.encrypt(content, [KEY.to_public()]))
    with pytest.raises(Untrue):
        opened(path)


def test_an_identity_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """And one that holds none, or is not there."""
    path = tmp_path / "identity"
    with pytest.raises(Refused, match="cannot be read"):
        seal.identities(path)
    path.write_text(f"# created\n{KEY}\n", encoding="ascii")
    path.chmod(0o640)
    with pytest.raises(Refused, match="can be read by others"):
        seal.identities(path)
    path.chmod(0o600)
    assert len(seal.identities(path)) == 1
    path.write_text("AGE-SECRET-KEY-NONE\n", encoding="ascii")
    with pytest.raises(Refused, match="holds no age private key") as no:
        seal.identities(path)
    assert "AGE-SECRET" not in str(no.value)


@pytest.mark.parametrize("keys", [[], ["age1nonsense"], [""]])
def test_recipients_that_are_none_are_a_mistake_in_rollback_toml(keys: list[str]) -> None:
    """With what to do."""
    with pytest.raises(UsageError):
        seal.recipients(keys)


# statements and manifests -----------------------------------------------------------------------------------------


def manifest() -> dict[str, Any]:
    """A small one, as it is signed."""
    state = {"logical": H, "strict": H, "acl": [], "settings": [], "roles": {}, "migrations": ["001", "002"]}
    table = {"count": 1, "hash": "7", "largest": None, "columns": ["a"]}
    file = {"size": 1, "sha256": H, "content_size": 1, "content_sha256": H}
    return {
        **dict.fromkeys(["database", "system", "server", "image", "tool", "by"], "x"),
        "id": new_id(),
        "history": "schema_migrations",
        "encrypted": False,
        "seconds": 1.5,
        "state": {**state, "tables": {"public.t": table}, "sequences": {"public.s": None}},
        "uploads": None,
        "files": {"dump/toc.dat": file, "globals.sql": file},
    }


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A deployment's."""
    return Keys(tmp_path / "state/signing.key").made()


def test_a_statement_is_read_as_it_was_said(keys: Keys) -> None:
    """By whoever has the public key alone."""
    raw = keys.sign("manifest", manifest() | {"database": "ü"})
    keys.path.unlink()
    assert parse(keys.read("manifest", raw)).database == "ü"


def test_every_bit_of_a_statement_counts(keys: Keys) -> None:
    """White space too: there is one written form."""
    raw = keys.sign("pin", {"reason": "x", "backup": "b"})
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << (place % 8)
        with pytest.raises(Untrue):
            keys.read("pin", bytes(changed))
    for cut in range(len(raw)):
        with pytest.raises(Untrue):
            keys.read("pin", raw[:cut])


def test_a_statement_of_one_kind_is_none_of_another(keys: Keys) -> None:
    """A pin is no verification."""
    raw = keys.sign("pin", {"proven": True})
    for forged in (raw, raw.replace(b'"kind": "pin"', b'"kind": "verification"')):
        with pytest.raises(Untrue):
            keys.read("verification", forged)


def test_another_key_is_not_believed(keys: Keys, tmp_path: Path) -> None:
    """However well it signs."""
    other = Keys(tmp_path / "other.key").made()
    with pytest.raises(Untrue, match="not that of this deployment"):
        keys.read("manifest", other.sign("manifest", manifest()))


def test_keys_are_private_and_a_lost_half_is_not_made_anew(keys: Keys) -> None:
    """A new pair would make every backup so far unprovable without a word."""
    assert keys.path.stat().st_mode & 0o777 == 0o600
    before = keys.public_path.read_bytes()
    assert keys.made().public_path.read_bytes() == before
    keys.path.chmod(0o644)
    with pytest.raises(Refused, match="can be read by others"):
        keys.sign("pin", {})
    keys.path.unlink()
    with pytest.raises(Refused, match="is gone"):
        keys.made()


GARBAGE = [
    b"", b"{}", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"\0" * 100, b'{"body": {}, "signature": "zz"}', b"[" * 5000,
    b'{"body": [], "kind": "manifest", "signature": ""}', b'{"body": {"a": NaN}, "signature": ""}',
]  # fmt: skip


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_no_statement(keys: Keys, raw: bytes) -> None:
    """One clear no, whatever the bytes."""
    with pytest.raises(Untrue):
        keys.read("manifest", raw)


WRONG = {
    "nothing": lambda one: one.clear(),
    "a key more": lambda one: one.update(x=1),
    "a key less": lambda one: one.pop("state"),
    "another type": lambda one: one.update(encrypted="no"),
    "a negative size": lambda one: one["files"]["globals.sql"].update(size=-1),
    "no hash": lambda one: one["files"]["globals.sql"].update(sha256="x"),
    "no files": lambda one: one.update(files={}),
    "a path that leads out": lambda one: one["files"].update({"../x": one["files"]["globals.sql"]}),
    "a path inside that leads out": lambda one: one["files"].update({"dump/..": one["files"]["globals.sql"]}),
    "an absolute path": lambda one: one["files"].update({"/etc/passwd": one["files"]["globals.sql"]}),
    "an id that leads out": lambda one: one.update(id="../../etc"),
    "an id with more": lambda one: one.update(id=one["id"] + "\n"),
    "a history that is SQL": lambda one: one.update(history='x"; DROP TABLE y; --'),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_signed_manifest_that_makes_no_sense_is_refused(change: Any) -> None:
    """The signer may be wrong too."""
    body = json.loads(json.dumps(manifest()))
    assert isinstance(parse(body), Manifest)
    change(body)
    with pytest.raises(Untrue):
        parse(body)


def test_ids_sort_by_time_and_tell_it() -> None:
    """UTC, whatever the host's zone."""
    early, late = taken_at("20260722T115959Z-ffff"), taken_at("20260722T120000Z-0000")
    assert early < late
    assert (late.hour, str(late.tzinfo)) == (12, "UTC")
    assert new_id(early) < new_id(late)
