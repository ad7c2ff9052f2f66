"""Certificates as a part: seen as a client would see them before they serve, and shown to be served afterwards.

A certificate is good when a TLS handshake with it succeeds for every name: key, chain, host name and dates are
judged at once, by OpenSSL, as a user's browser would.
"""

from __future__ import annotations

import ssl
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from rollback.containment.keyring import Revoked
from rollback.outcome import Refused
from rollback.parts import nginx
from rollback.parts.listeners import Listener, listeners
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

    from rollback.deployment import Deployment
    from rollback.tables import CertificatesTable

__all__ = ["Pair", "check", "ends", "fault", "key_of", "keys_shown", "private_keys", "shown", "wanted_names"]

_OTHERS = 0o007
_NEXT = "choose another release, or have a new certificate issued"


def check(deployment: Deployment, dump: str, laid_out: Path) -> None:
    """Say that clients would be content with every certificate that the edge would show.

    Args:
        deployment: whose edge, and whose rules: [certificates] in rollback.toml.
        dump: the edge's configuration, from `nginx -T`.
        laid_out: the files as they would be, with their permission bits.

    Raises:
        Refused: what is wrong with which certificate; a key that others can use, or that was revoked after a breach; no
            host name is known for one; none at all is shown.
    """
    found = listeners(dump)
    if not found:
        raise Refused("The edge shows no certificate: no server block has ssl and a certificate.", "`rollback nginx`")
    places = nginx.places(deployment)
    for one in found:
        pair = Pair(places.on_host(one.certificate, laid_out), places.on_host(one.key, laid_out))
        if pair.key.exists() and pair.key.stat().st_mode & _OTHERS:
            raise Refused(f"{one.key}: others than its owner and group can use this private key.", _NEXT)
        names = wanted_names(one, deployment.settings.certificates)
        if not names:
            raise Refused(
                f"Nobody knows which host names {one.certificate} has to cover: nginx names none there.",
                "add `names` to [certificates] in rollback.toml",
            )
        wrong = fault(pair, names, _rules(deployment))
        if wrong:
            raise Refused(f"{one.certificate}: {wrong}.", _NEXT)
        _not_revoked(deployment, one.certificate, pair)


def _not_revoked(deployment: Deployment, name: str, pair: Pair) -> None:
    at = Revoked.of(deployment).since(key_of(pair.certificate))
    if at:
        raise Refused(f"{name}: its key was revoked on {at}: somebody else may have it.", _NEXT)


def key_of(certificate: Path) -> str:
    """SHA-256 of the public key in a certificate: the same for every certificate of one private key."""
    return _key(x509.load_pem_x509_certificate(certificate.read_bytes()).public_key())


def private_keys(paths: Iterable[Path]) -> Iterator[str]:
    """SHA-256 of the public half of every private key among files; what is no key that can be read is left out."""
    for path in paths:
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # a certificate, a text, a key with a passphrase
            continue
        yield _key(key.public_key())


def _key(public: PublicKeyTypes | CertificatePublicKeyTypes) -> str:
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public.public_bytes(der, info))
    return digest.finalize().hex()


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Rules:
    """What a certificate is held against.

    Attributes:
        authorities: a file of certificates that clients trust beside the system's own.
        days: so long it has to be good still.
    """

    authorities: Path | None
    days: float


def _rules(deployment: Deployment) -> Rules:
    table = deployment.settings.certificates
    return Rules(deployment.root / table.authorities_file if table.authorities_file else None, table.days)


def wanted_names(listener: Listener, table: CertificatesTable) -> list[str]:
    """The names that a client may ask this listener for."""
    return list(dict.fromkeys([*listener.names, *table.names]))


def ends(certificate: Path) -> datetime:
    """When a certificate expires, UTC."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def fault(pair: Pair, names: Sequence[str], rules: Rules) -> str:
    """What is wrong with a certificate, in words; empty where a client would be content with each of the names."""
    try:
        leaf = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    except (OSError, ValueError) as error:
        return f"it cannot be read: {_words(error)}"
    now = datetime.now(UTC)
    if leaf.not_valid_before_utc > now:
        return f"it is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if leaf.not_valid_after_utc <= now:
        return f"it expired {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if leaf.not_valid_after_utc - now < timedelta(days=rules.days):
        return f"it expires {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, in less than {rules.days:g} days"
    try:
        server, client = _server(pair), _client(rules)
    except (OSError, ValueError) as error:
        return _words(error)
    told = (_handshake(server, client, name) for name in names)
    return next((one for one in told if one), "")


def _server(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # a key with a passphrase would ask at the terminal: nginx would not start with it either
    context.load_cert_chain(pair.certificate, pair.key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    raise ValueError("its key has a passphrase")


def _client(rules: Rules) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if rules.authorities is not None:
        context.load_verify_locations(rules.authorities)
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """A handshake within this process; empty when it succeeds."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=name)
    answering = server.wrap_bio(up, down, server_side=True)
    waiting = {asking, answering}
    # each turn moves one flight; TLS has fewer than this
    for _ in range(10):
        for one in tuple(waiting):
            try:
                one.do_handshake()
                waiting.discard(one)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return f"a client that asks for {name} turns it down: {_words(error)}"
        if not waiting:
            return ""
    return f"no handshake for {name}"


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and "KEY_VALUES_MISMATCH" in str(error):
        return "its key is that of another certificate"
    if isinstance(error, ssl.SSLError):
        return f"OpenSSL cannot use it: {error.reason or error}"
    return f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.strerror else str(error)


def shown(deployment: Deployment) -> Reading:
    """Whether every TLS listener of the live edge shows the certificate that lies on the disk, by handshake.

    A listener with several certificates chooses by the kind of key that a client can verify: each is asked for as a
    client that knows no other kind, which is possible with TLS 1.2 only.
    """
    places, found = nginx.places(deployment), listeners(nginx.dump(deployment))
    beside = Counter((one.ports, one.names) for one in found)
    wrong, seen = [], set()
    for one in found:
        pem = places.on_host(one.certificate, deployment.root).read_bytes()
        wanted, kind = _print(pem), _only(pem) if beside[one.ports, one.names] > 1 else ()
        for name, port in _asked(deployment, one):
            now = _print(_live(deployment, name, port, kind))
            seen.add(now)
            wrong += [] if now == wanted else [f"{name}:{port} shows {now[:16] or 'nothing'}, not {wanted[:16]}"]
    told = "; ".join(wrong) or f"shown by every listener: {', '.join(sorted(one[:16] for one in seen))}"
    return Reading(not wrong and bool(seen), told if seen else "no listener shows a certificate")


_RSA, _ECDSA = (("--tls-max", "1.2", "--ciphers", one) for one in ("aRSA", "aECDSA"))


def _only(pem: bytes) -> tuple[str, ...]:
    """What makes curl a client that can verify this kind of key and no other."""
    return _RSA if isinstance(x509.load_pem_x509_certificate(pem).public_key(), RSAPublicKey) else _ECDSA


def keys_shown(deployment: Deployment) -> set[str]:
    """SHA-256 of the public keys that the TLS listeners of the live edge show to clients of each kind, by handshake."""
    asked = [two for one in listeners(nginx.dump(deployment)) for two in _asked(deployment, one)]
    found = [_live(deployment, name, port, kind) for name, port in asked for kind in ((), _RSA, _ECDSA)]
    return {_key(x509.load_pem_x509_certificate(pem).public_key()) for pem in found if pem}


def _asked(deployment: Deployment, one: Listener) -> list[tuple[str, str]]:
    """Every name and port by which a client may ask a listener."""
    return [(name, port) for name in wanted_names(one, deployment.settings.certificates) for port in one.ports]


def _live(deployment: Deployment, name: str, port: str, kind: tuple[str, ...]) -> bytes:
    """The certificate that a listener shows; whether a client would trust it is another question."""
    ask = ["curl", "-sk", "--max-time", "5", "-o", "/dev/null", "-w", "%{certs}", *kind]
    result = deployment.in_edge([*ask, "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"])
    pem = result.out.partition("-----BEGIN CERTIFICATE-----")
    return (pem[1] + pem[2]).encode() if pem[1] else b""


def _print(pem: bytes) -> str:
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex() if pem else ""
