"""Certificates before they serve: judged by a handshake, as a client would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fixtures.authority import Authority, Issued
from rollback.outcome import Failed
from rollback.parts.certificates import Pair, Rules, fault
from rollback.parts.listeners import Listener, listeners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
