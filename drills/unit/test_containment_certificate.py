"""The exchange of the edge's certificate after a breach: what is refused, where the new pair goes, what is revoked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from fixtures.authority import Authority, Issued
from rollback.containment.certificate import Exchange
from rollback.containment.keyring import Revoked
from rollback.deployment import Deployment
from rollback.outcome import Refused
from rollback.parts import certificates, files, nginx
from rollback.parts.certificates import Pair, key_of
from rollback.parts.nginx import Places
from rollback.release import Release, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
NAMES = "localhost spheroseg.test"
DUMP = f"""http {{
  server {{ listen 443 ssl; server_name {NAMES};
    ssl_certificate /certs/live/fullchain.pem; ssl_certificate_key /certs/live/privkey.pem; }}
  server {{ listen 8443 ssl; server_name {NAMES};
    ssl_certificate /certs/live/fullchain.pem; ssl_certificate_key /certs/live/privkey.pem; }}
}}"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def edge(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """An edge whose certificate lies as certbot lays it, which shows what lies there."""
    root = tmp_path / "checkout"
    (root / "certbot").mkdir(parents=True)
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8")
    (root / "rollback.toml").write_text(text, encoding="utf-8")
    (root / "certbot/authorities.pem").write_bytes(authority.file.read_bytes())
    authority.write(root / "certbot/conf/archive")
    live = root / "certbot/conf/live"
    live.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (live / name).symlink_to(f"../archive/{name}")
    places = Places({"Mounts": []}, root, {"/certs": Path("certbot/conf")})
    monkeypatch.setattr(nginx, "places", lambda _: places)
    monkeypatch.setattr(nginx, "dump", lambda _: DUMP)
    monkeypatch.setattr(certificates, "_live", lambda *_: (live / "fullchain.pem").read_bytes())
    monkeypatch.setattr(Deployment, "in_edge", lambda *_: None)
    found = Deployment.load(root)
    found.state.mkdir()
    return found


def pair(authority: Authority, folder: Path, made: Issued | None = None) -> Pair:
    """What the operator has from the authority."""
    (made or authority.issue()).write(folder)
    return Pair(folder / "fullchain.pem", folder / "privkey.pem")


def recorded(edge: Deployment, version: str) -> Release:
    """A release with the certificate that lies there now."""
    folder = edge.state / "releases" / version
    kept = files.capture(edge.root, ["certbot/conf"], folder / "files")
    release = Release(version, "2025-01-01", folder, {}, {"certificates": kept}, "", [], [], None, None)
    write_manifest(release)
    return release


def test_the_new_pair_lies_where_links_lead_and_every_old_key_is_revoked(
    edge: Deployment, tmp_path: Path, authority: Authority
) -> None:
    """Certbot's links stay links, the key keeps its owner and group bits and loses those of others."""
    old = key_of(edge.root / "certbot/conf/live/fullchain.pem")
    recorded(edge, "v1")
    (edge.root / "certbot/conf/archive/privkey.pem").chmod(0o640)
    new = pair(authority, tmp_path / "issued")
    exchange = Exchange.found(edge, new)
    assert exchange.places == (("certbot/conf/archive/fullchain.pem", "certbot/conf/archive/privkey.pem"),)
    assert not exchange.reading().holds
    again = Exchange.of(edge, exchange.as_facts())
    again.carry_out()
    again.carry_out()
    assert again.reading().holds
    live = edge.root / "certbot/conf/live"
    assert (live / "privkey.pem").is_symlink()
    assert (live / "privkey.pem").read_bytes() == new.key.read_bytes()
    assert (live / "privkey.pem").stat().st_mode & 0o777 == 0o640
    assert Revoked.of(edge).since(old)
    assert not Revoked.of(edge).since(key_of(new.certificate))


def test_a_key_that_others_could_read_can_be_read_by_them_no_more(
    edge: Deployment, tmp_path: Path, authority: Authority
) -> None:
    """However the old one lay."""
    new = pair(authority, tmp_path / "issued")
    exchange = Exchange.found(edge, new)
    (edge.root / "certbot/conf/archive/privkey.pem").chmod(0o644)
    exchange.carry_out()
    assert (edge.root / "certbot/conf/archive/privkey.pem").stat().st_mode & 0o777 == 0o640


def test_a_revoked_key_does_not_come_back(edge: Deployment, tmp_path: Path, authority: Authority) -> None:
    """Neither as it was recorded nor with another certificate for it."""
    release = recorded(edge, "v1")
    exchange = Exchange.found(edge, pair(authority, tmp_path / "issued"))
    certificates.check(edge, DUMP, release.store)
    exchange.carry_out()
    certificates.check(edge, DUMP, edge.root)
    laid_out = tmp_path / "laid out"
    files.restore(laid_out, release.files["certificates"], release.store)
    with pytest.raises(Refused, match=r"its key was revoked on 20.*somebody else may have it"):
        certificates.check(edge, DUMP, laid_out)


def reissued(edge: Deployment, _: Authority) -> Issued:
    """A new certificate and the key of before, as `certbot --reuse-key` makes it."""
    archive = edge.root / "certbot/conf/archive"
    return Issued(((archive / "fullchain.pem").read_bytes(),), (archive / "privkey.pem").read_bytes())


REFUSED: dict[str, tuple[Callable[[Deployment, Authority], Issued], str]] = {
    "the key of before": (reissued, "has the key that is shown now"),
    "another host": (lambda _, ca: ca.issue("elsewhere.test"), "Hostname mismatch"),
    "another key": (lambda _, ca: Issued(ca.issue().chain, ca.issue().key), "its key is that of another certificate"),
    "nobody's authority": (
        lambda *_: Issued(
            ((one := trustme.CA().issue_cert("localhost", "spheroseg.test")).cert_chain_pems[0].bytes(),),
            one.private_key_pem.bytes(),
        ),
        "unable to get local issuer",
    ),
}


@pytest.mark.parametrize(("made", "words"), REFUSED.values(), ids=REFUSED)
def test_what_would_help_nobody_is_refused(
    edge: Deployment, tmp_path: Path, authority: Authority, made: Callable[[Deployment, Authority], Issued], words: str
) -> None:
    """Before anything is shut: what clients turn down, and a certificate for a key that the intruder may have."""
    with pytest.raises(Refused, match=words):
        Exchange.found(edge, pair(authority, tmp_path / "issued", made(edge, authority)))
    assert not Revoked.of(edge).path.exists()


def test_the_key_of_a_recorded_release_is_refused(edge: Deployment, tmp_path: Path, authority: Authority) -> None:
    """What was recorded lay where the intruder was."""
    first = reissued(edge, authority)
    recorded(edge, "v1")
    authority.write(edge.root / "certbot/conf/archive")
    with pytest.raises(Refused, match="that a release was recorded with"):
        Exchange.found(edge, pair(authority, tmp_path / "issued", first))


def test_a_key_that_others_can_read_and_a_missing_one_are_refused(
    edge: Deployment, tmp_path: Path, authority: Authority
) -> None:
    """A new key is worth as much as it is kept."""
    new = pair(authority, tmp_path / "issued")
    new.key.chmod(0o644)
    with pytest.raises(Refused, match="others than its owner and group"):
        Exchange.found(edge, new)
    new.key.unlink()
    with pytest.raises(Refused, match=r"privkey\.pem is no file"):
        Exchange.found(edge, new)


def test_killed_between_the_two_files_it_goes_on(edge: Deployment, tmp_path: Path, authority: Authority) -> None:
    """A certificate without its key is no state to stay in: nginx need not read it to go on."""
    new = pair(authority, tmp_path / "issued")
    facts = Exchange.found(edge, new).as_facts()
    (edge.root / "certbot/conf/archive/fullchain.pem").write_bytes(new.certificate.read_bytes())
    exchange = Exchange.of(edge, facts)
    assert not exchange.reading().holds
    exchange.carry_out()
    assert exchange.reading().holds
