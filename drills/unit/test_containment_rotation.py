"""Rotation of secrets: wherever it is interrupted, going on leaves no old value behind and no record damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rollback.containment.isolation import Isolation
from rollback.containment.keyring import Keyring, Revoked
from rollback.containment.rotation import Rotation
from rollback.deployment import Deployment
from rollback.outcome import Refused
from rollback.parts import files
from rollback.parts.snapshot import Snapshots
from rollback.procedures import target
from rollback.procedures.containment import _Procedure
from rollback.release import Release, Shelf, write_manifest

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
BACKEND, MONITORING = "packages/backend/.env", "monitoring/.env"
#: As a hasty team has them: the database's password is its user's name, and an older release had another secret.
NOW = "JWT_SECRET=second\nSESSION_SECRET=postgres\nSOME_USER=postgres\n"
OLDER = NOW.replace("second", "first")


class Killed(BaseException):
    """The operator's machine dies."""


@pytest.fixture
def checkout(tmp_path: Path) -> Deployment:
    """Env files without a database's password, two releases and a snapshot; nothing of it needs an engine."""
    root = tmp_path / "checkout"
    for name in (BACKEND, MONITORING):
        (root / name).parent.mkdir(parents=True)
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8")
    for name in ("POSTGRES_PASSWORD", "DATABASE_URL", "REDIS_PASSWORD", "REDIS_URL"):
        text = text.replace(f'{name} = "{"redis" if "REDIS" in name else "database"}"\n', "")
    (root / "rollback.toml").write_text(text, encoding="utf-8")
    found = Deployment.load(root)
    found.state.mkdir()
    for version, content in (("v1", OLDER), ("v2", NOW)):
        for name in (BACKEND, MONITORING):
            (root / name).write_text(content, encoding="utf-8")
        record(found, version)
    Snapshots(found).take("evening")
    return found


def record(deployment: Deployment, version: str) -> None:
    """A release of env files alone, one of them in the folder of the monitoring stack."""
    folder = deployment.state / "releases" / version
    kept = {
        "environment": files.capture(deployment.root, [BACKEND], folder / "files"),
        "monitoring": files.capture(deployment.root, ["monitoring"], folder / "files"),
    }
    write_manifest(Release(version, version, folder, {}, kept, "", [], [], None, None))


def copies(deployment: Deployment) -> list[Path]:
    """Every env file, live and recorded."""
    stores = [deployment.root, *sorted(deployment.state.glob("*/*/files"))]
    return [store / name for store in stores for name in (BACKEND, MONITORING)]


def test_every_copy_has_the_new_values_and_can_be_put_back(checkout: Deployment, tmp_path: Path) -> None:
    """Also the secret that only an older release had; what is no secret stays, whatever its value."""
    rotation = Rotation(checkout, tmp_path / "run")
    assert rotation.possible() == ["JWT_SECRET", "SESSION_SECRET"]
    assert not rotation.reading().holds
    rotation.rotate()
    assert rotation.reading().holds
    texts = {one.read_text(encoding="utf-8") for one in copies(checkout)}
    assert len(copies(checkout)) == 8
    assert len(texts) == 1
    (text,) = texts
    assert "SOME_USER=postgres\n" in text
    assert "first" not in text
    assert "second" not in text
    assert all(Revoked.of(checkout).since(one) for one in ("first", "second", "postgres"))
    assert [Shelf(checkout).good(one).version for one in ("v1", "v2")] == ["v1", "v2"]
    assert target.recorded(checkout, "evening").version == "evening"


def test_wherever_it_is_killed_it_goes_on(
    checkout: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each single write: what went on is as what was never interrupted, and no release counts as damaged."""
    real, writes = files.write, 0
    kills = 0
    while True:
        run, allowed = tmp_path / f"run {kills}", kills

        def write(where: Path, content: str, mode: int | None = None, *, allowed: int = allowed) -> None:
            nonlocal writes
            if writes == allowed:
                raise Killed
            writes += 1
            real(where, content, mode)

        saved = tmp_path / f"saved {kills}"
        shutil.copytree(checkout.root, saved)
        writes = 0
        monkeypatch.setattr(files, "write", write)
        try:
            Rotation(checkout, run).rotate()
        except Killed:
            monkeypatch.setattr(files, "write", real)
        else:
            break
        rotation = Rotation(checkout, run)
        assert not rotation.reading().holds, f"after {kills} writes it counts as done"
        rotation.rotate()
        assert rotation.reading().holds
        assert len({one.read_text(encoding="utf-8") for one in copies(checkout)}) == 1
        assert [Shelf(checkout).good(one).version for one in ("v1", "v2")] == ["v1", "v2"]
        assert target.recorded(checkout, "evening").version == "evening"
        shutil.rmtree(checkout.root)
        shutil.copytree(saved, checkout.root)
        kills += 1
    assert kills == 13  # revoked, new values, eight env files, three manifests


def test_what_cannot_be_rewritten_is_told_before_anything_changes(checkout: Deployment, tmp_path: Path) -> None:
    """Also in a release of long ago: found out later, the database has its new password by then."""
    kept = checkout.state / "releases/v1/files" / BACKEND
    kept.write_text(f"{OLDER}JWT_SECRET=https://hooks.example/first\n", encoding="utf-8")
    before = {one: one.read_bytes() for one in copies(checkout)}
    with pytest.raises(Refused, match=rf"^v1 {BACKEND}: The URL of JWT_SECRET has no password") as caught:
        Rotation(checkout, tmp_path / "run").possible()
    assert "keep" in caught.value.next_step
    assert {one: one.read_bytes() for one in copies(checkout)} == before


def test_no_other_byte_changes(checkout: Deployment, tmp_path: Path) -> None:
    """Neither the mark of a Windows editor nor its ends of lines nor what is no UTF-8; the secret is known again."""
    text = b"\xef\xbb\xbfJWT_SECRET: third\r\nSOME_NAME=M\xfcller\r\nSESSION_SECRET=pa\xdfword # of \xe4\n"
    (checkout.root / BACKEND).write_bytes(text)
    rotation = Rotation(checkout, tmp_path / "run")
    assert rotation.possible() == ["JWT_SECRET", "SESSION_SECRET"]
    rotation.rotate()
    fresh = Keyring.made(tmp_path / "run", rotation.table).values
    wanted = text.replace(b"third", fresh["JWT_SECRET"].encode()).replace(
        b"pa\xdfword", fresh["SESSION_SECRET"].encode()
    )
    assert (checkout.root / BACKEND).read_bytes() == wanted
    assert rotation.reading().holds
    (checkout.root / BACKEND).write_bytes(text)
    assert [*rotation.revoked.keys_in(checkout.root / BACKEND)] == ["JWT_SECRET", "SESSION_SECRET"]


def test_a_url_in_which_nobody_signs_in_is_no_revoked_secret(checkout: Deployment, tmp_path: Path) -> None:
    """It has no password: it stays, and no release is refused because of it."""
    text = (checkout.root / "rollback.toml").read_text(encoding="utf-8")
    first = 'JWT_SECRET = "random"\n'
    (checkout.root / "rollback.toml").write_text(text.replace(first, f'{first}REDIS_URL = "redis"\n'), encoding="utf-8")
    (checkout.root / BACKEND).write_text(f"{NOW}REDIS_URL=redis://redis:6379/0\n", encoding="utf-8")
    rotation = Rotation(Deployment.load(checkout.root), tmp_path / "run")
    assert rotation.possible() == ["JWT_SECRET", "SESSION_SECRET"]
    rotation.rotate()
    assert rotation.reading().holds
    assert "REDIS_URL=redis://redis:6379/0\n" in (checkout.root / BACKEND).read_text(encoding="utf-8")


def test_a_secret_of_the_compose_files_is_told(checkout: Deployment, tmp_path: Path) -> None:
    """It would stay what it is, while every secret is said to be another one."""
    model = {"services": {"web": {"environment": {"API_TOKEN": "typed"}}}, "secrets": {"jwt": {"file": "jwt.txt"}}}
    with pytest.raises(Refused, match=r"^API_TOKEN of the service web, the Compose secret jwt: no env file"):
        Rotation(checkout, tmp_path / "run").possible(model)


@pytest.mark.parametrize("begun", [False, True])
def test_half_rotated_secrets_are_not_opened_by_an_abort(
    checkout: Deployment, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    """Not rotated to the end is not untouched: nobody but the operator opens that."""
    opened: list[str] = []
    monkeypatch.setattr(Isolation, "open", lambda _: opened.append("opened"))
    procedure = _Procedure(checkout, {"run": "r"})
    if begun:
        Keyring.made(checkout.run_folder("r"), {"JWT_SECRET": "random"})
    procedure._open_again()  # noqa: SLF001 -- what an abort carries out
    assert opened == ([] if begun else ["opened"])


WRONG = "password authentication failed"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (("", WRONG), ""),
        (("", ""), "the database takes every password of postgres: mend its pg_hba.conf"),
        ((WRONG, WRONG), "the database refuses the new password of postgres: password authentication failed"),
        (("not allowed", ""), "the database refuses the new password of postgres: not allowed"),
    ],
    ids=["this one alone", "any", "none", "not this one"],
)
def test_the_new_password_signs_in_and_no_other(
    checkout: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[str, str], seen: str
) -> None:
    """Where pg_hba.conf trusts whoever comes, a new password locks nobody out. Said: of the new one, of others."""
    rotation = Rotation(checkout, tmp_path / "run")
    rotation.rotate()
    tried: list[str] = []

    def sign_in(_: Rotation, role: str, password: str) -> str:
        tried.append(password)
        return said[(role, password) != ("postgres", "new")]

    monkeypatch.setattr(Rotation, "_passwords", lambda *_: {"postgres": "new"})
    monkeypatch.setattr(Rotation, "sign_in", sign_in)
    found = rotation.reading()
    assert (found.holds, found.seen.startswith(seen)) == (not seen, True)
    assert tried[-1] == "new"
    assert len({*tried, *(tried if rotation.reading() else [])}) == 3  # another one each time


def test_each_role_of_the_database_has_a_password_of_its_own(checkout: Deployment, tmp_path: Path) -> None:
    """Named by key: the deployment's own role, and others; of one that nobody has named it is said."""
    text = (checkout.root / "rollback.toml").read_text(encoding="utf-8")
    first = 'JWT_SECRET = "random"\n'
    more = f'{first}EXPORTER_PASSWORD = "database:exporter"\nPOSTGRES_PASSWORD = "database"\n'
    text = text.replace(first, more)
    roles = 'roles = ["postgres", "exporter", "reports"]'
    (checkout.root / "rollback.toml").write_text(text.replace('roles = ["postgres"]', roles), encoding="utf-8")
    rotation = Rotation(Deployment.load(checkout.root), tmp_path / "run")
    assert rotation.left() == ["reports"]
    ring = Keyring.made(tmp_path / "run", rotation.table)
    assert rotation._passwords(ring) == {  # noqa: SLF001 -- which role gets which
        "postgres": ring.values["database"],
        "exporter": ring.values["database:exporter"],
    }
    assert len(set(ring.values.values())) == len(ring.values)


def test_a_snapshot_with_a_revoked_secret_is_no_target(checkout: Deployment, tmp_path: Path) -> None:
    """One that was brought back from elsewhere, say."""
    kept = checkout.state / "snapshots/evening"
    shutil.copytree(kept, tmp_path / "elsewhere")
    Rotation(checkout, tmp_path / "run").rotate()
    shutil.rmtree(kept)
    shutil.copytree(tmp_path / "elsewhere", kept)
    with pytest.raises(Refused, match=r"evening has a value for JWT_SECRET .* that was revoked on"):
        target.recorded(checkout, "evening")
