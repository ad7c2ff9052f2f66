"""What nginx shows to whom: the certificates of its configuration, from `nginx -T`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crossplane

from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Listener", "listeners"]

_CERTIFICATE, _KEY = "ssl_certificate", "ssl_certificate_key"
_HTTPS = "443"


@dataclass(frozen=True)
class Listener:
    """One server block that speaks TLS, with one of its certificates.

    Attributes:
        ports: on which it listens for TLS.
        names: its server names that a client can ask for: neither patterns nor the catch-all.
        certificate: path inside the edge.
        key: path inside the edge.
    """

    ports: tuple[str, ...]
    names: tuple[str, ...]
    certificate: str
    key: str


def listeners(dump: str) -> list[Listener]:
    """The TLS listeners of a configuration.

    Args:
        dump: what `nginx -T` printed.

    Raises:
        Failed: it cannot be read, or a certificate has no key.
    """
    with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
        path = Path(folder) / "dump.conf"
        path.write_text(dump, encoding="utf-8")
        # the dump holds every included file once more, outside of the block that includes it
        read = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
    if read["errors"]:
        raise Failed(f"The configuration of the edge cannot be read: {read['errors'][0]['error']}.")
    blocks = read["config"][0]["parsed"]
    outer = [one for block in blocks if block["directive"] == "http" for one in block["block"]]
    inherited = _values(outer, _CERTIFICATE), _values(outer, _KEY)
    return [one for server in _servers(blocks) for one in _of(server, inherited)]


def _servers(blocks: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for one in blocks:
        if one["directive"] == "server" and "block" in one:
            yield one["block"]
        elif one["directive"] == "http":
            yield from _servers(one["block"])


def _of(server: list[dict[str, Any]], inherited: tuple[list[str], list[str]]) -> Iterator[Listener]:
    ports = tuple(_port(one["args"][0]) for one in server if one["directive"] == "listen" and "ssl" in one["args"])
    names = tuple(name for one in server if one["directive"] == "server_name" for name in one["args"] if _is_name(name))
    certificates = _values(server, _CERTIFICATE) or inherited[0]
    keys = _values(server, _KEY) or inherited[1]
    if ports and len(certificates) != len(keys):
        raise Failed(f"A server block has {len(certificates)} certificates and {len(keys)} keys.", "mend that block")
    if ports:
        yield from (Listener(ports, names, *pair) for pair in zip(certificates, keys, strict=True))


def _values(block: list[dict[str, Any]], directive: str) -> list[str]:
    return [one["args"][0] for one in block if one["directive"] == directive and one["args"]]


def _port(address: str) -> str:
    """`443`, `127.0.0.1:443`, `[::]:443`; an address alone has nginx's default."""
    last = address.rpartition(":")[2]
    return last if last.isdigit() else _HTTPS


def _is_name(name: str) -> bool:
    return name not in ("", "_") and not name.startswith(("~", "*", ".")) and not name.endswith("*")
