"""Certificates before they serve: judged by a handshake, as a client would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.authority import Authority, Issued
from rollback.deployment import Deployment
from rollback.outcome import Failed, Refused
from rollback.parts import nginx
from rollback.parts.certificates import Pair, Rules, check, fault
from rollback.parts.listeners import Listener, listeners
from rollback.parts.nginx import Places

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
NOW = datetime.now(UTC)
NAMES = ["localhost", "spheroseg.test"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


def swapped(authority: Authority) -> Issued:
    """The certificate of one pair with the key of another."""
    return Issued(authority.issue().chain, authority.issue().key)


CASES: dict[str, tuple[Callable[[Authority], Issued], str]] = {
    "good": (lambda ca: ca.issue(), ""),
    "expired": (lambda ca: ca.issue(not_before=NOW - timedelta(9), not_after=NOW - timedelta(1)), "it expired "),
    "not yet": (lambda ca: ca.issue(not_before=NOW + timedelta(1)), "it is not valid before "),
    "soon": (lambda ca: ca.issue(not_after=NOW + timedelta(2)), "in less than 3 days"),
    "host": (lambda ca: ca.issue("spheroseg.test"), "asks for localhost turns it down: Hostname mismatch"),
    "other key": (swapped, "its key is that of another certificate"),
    "chain": (lambda ca: Issued(ca.issue().chain[:0] + (one := ca.issue()).chain[:1], one.key), "unable to get local"),
    "garbage": (lambda ca: Issued((b"nothing",), ca.issue().key), "it cannot be read"),
    "key garbage": (lambda ca: Issued(ca.issue().chain, b"nothing"), "OpenSSL cannot use it"),
}


@pytest.mark.parametrize(("made", "words"), CASES.values(), ids=CASES)
def test_what_a_client_would_turn_down_is_named(
    tmp_path: Path, authority: Authority, made: Callable[[Authority], Issued], words: str
) -> None:
    """Each fault in one sentence; a good one is none."""
    made(authority).write(tmp_path)
    pair = Pair(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    told = fault(pair, NAMES, Rules(authority.file, 3))
    assert words in told
    assert bool(told) == bool(words)


def test_an_authority_that_nobody_trusts_is_told(tmp_path: Path, authority: Authority) -> None:
    """A private one has to be named in rollback.toml."""
    authority.write(tmp_path)
    pair = Pair(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    assert "unable to get" in fault(pair, NAMES, Rules(None, 3))
    assert "No such file" in fault(pair, NAMES, Rules(tmp_path / "none.pem", 3))


def test_missing_files_are_told(tmp_path: Path, authority: Authority) -> None:
    """A certificate without its key, and none at all."""
    authority.write(tmp_path)
    chain, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    key.unlink()
    assert "No such file" in fault(Pair(chain, key), NAMES, Rules(authority.file, 3))
    chain.unlink()
    assert "it cannot be read: No such file" in fault(Pair(chain, key), NAMES, Rules(authority.file, 3))


DUMP = """# configuration file /etc/nginx/nginx.conf:
http { ssl_certificate /outer.pem; ssl_certificate_key /outer.key; include /etc/nginx/prod.conf; }
# configuration file /etc/nginx/prod.conf:
server { listen 80; server_name a.test; }
server { listen 443 ssl http2; listen [::]:8443 ssl; server_name a.test *.b.test ~^c _ "";
  ssl_certificate "/with space/a.pem"; ssl_certificate_key /a.key; location / { return 200 "ssl_certificate x;"; } }
server { listen 127.0.0.1:444 ssl; server_name d.test; }
server { listen 9443 ssl; ssl_certificate /rsa.pem; ssl_certificate_key /rsa.key;
  ssl_certificate /ec.pem; ssl_certificate_key /ec.key; }
"""


def test_every_listener_with_tls_is_found() -> None:
    """With its ports, the names that can be asked for, and what it inherits."""
    assert listeners(DUMP) == [
        Listener(("443", "8443"), ("a.test",), "/with space/a.pem", "/a.key"),
        Listener(("444",), ("d.test",), "/outer.pem", "/outer.key"),
        Listener(("9443",), (), "/rsa.pem", "/rsa.key"),
        Listener(("9443",), (), "/ec.pem", "/ec.key"),
    ]


def test_a_configuration_that_cannot_be_read_is_no_configuration_without_tls() -> None:
    """What nginx would not print is an error."""
    with pytest.raises(Failed, match="cannot be read"):
        listeners("server { listen 443 ssl;")


def test_a_certificate_without_a_key_is_no_listener_to_be_left_out() -> None:
    """What is skipped would never be proven."""
    with pytest.raises(Failed, match="has 1 certificates and 0 keys"):
        listeners("http { server { listen 443 ssl; ssl_certificate /a.pem; } }")


@pytest.fixture
def edge(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A checkout whose certificates the edge has under /certs, for users who trust the authority."""
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8").replace('names = ["localhost"]', "names = []")
    (tmp_path / "rollback.toml").write_text(text, encoding="utf-8")
    (tmp_path / "certbot").mkdir()
    (tmp_path / "certbot/authorities.pem").write_bytes(authority.file.read_bytes())
    authority.write(tmp_path / "conf")
    places = Places({}, tmp_path, {"/certs": Path("conf")})
    monkeypatch.setattr(nginx, "places", lambda _: places)
    return Deployment.load(tmp_path)


def dump(names: str) -> str:
    """What nginx prints of one TLS server."""
    files = "ssl_certificate /certs/fullchain.pem; ssl_certificate_key /certs/privkey.pem;"
    return f"http {{ server {{ listen 443 ssl; server_name {names}; {files} }} }}"


def test_a_good_one_passes_the_gate(edge: Deployment) -> None:
    """Its key is the owner's, and it covers the names that nginx has."""
    check(edge, dump("localhost spheroseg.test"), edge.root)


@pytest.mark.parametrize("names", ["_", "*.spheroseg.test", "~^s"])
def test_without_a_host_name_nothing_can_be_proven(edge: Deployment, names: str) -> None:
    """A handshake needs a name to ask for: it is refused, and said where to name one."""
    with pytest.raises(Refused, match="Nobody knows which host names") as stop:
        check(edge, dump(names), edge.root)
    assert "[certificates]" in stop.value.next_step


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_a_key_that_others_can_use_is_refused(edge: Deployment, mode: int) -> None:
    """Whatever else is right."""
    (edge.root / "conf/privkey.pem").chmod(mode)
    with pytest.raises(Refused, match="others than its owner and group can use this private key"):
        check(edge, dump("localhost"), edge.root)


def test_an_edge_without_certificates_and_one_from_elsewhere_are_refused(edge: Deployment) -> None:
    """Nothing to prove, and nothing that a release could put back."""
    with pytest.raises(Refused, match="The edge shows no certificate"):
        check(edge, "http { server { listen 80; } }", edge.root)
    with pytest.raises(Refused, match="from elsewhere than the checkout"):
        check(edge, dump("localhost").replace("/certs/", "/etc/other/"), edge.root)
