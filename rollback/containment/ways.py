"""Whether anybody inside reaches this host, tried from every container against a listener of our own.

`--internal` alone does not keep a container from the host: it reaches every service of it at the bridge's address. So
the proof is an attempt, at every address that the host has.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import disposable
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.deployment import Deployment

__all__ = ["ASK_SECONDS", "out", "questions_leave"]

_SECONDS = 1
#: For one question over the network.
ASK_SECONDS = 30
#: Prints the addresses that took a connection.
_TRY = (
    'for one in $WAYS; do (timeout {seconds} bash -c "exec 3<>/dev/tcp/$one" 2>/dev/null && echo "$one") & done;'
    " wait; true"
)
#: Nobody is asked there: it says from which address this host would ask (RFC 5737).
_SOMEWHERE = ("192.0.2.1", 9)


def out(deployment: Deployment, containers: Sequence[str], image: str) -> Reading:
    """Whether none of these containers reaches a listener on this host at any of its addresses.

    Args:
        deployment: whose they are.
        containers: who tries.
        image: one with bash, of which nothing but that runs.
    """
    with _listener() as port:
        ways = [f"{one}/{port}" for one in _addresses(deployment)]
        if not ways:
            return Reading(holds=False, seen="no address of this host is known: nothing was tried")
        env = [f"WAYS={' '.join(ways)}"]
        words = ["bash", "-c", _TRY.format(seconds=_SECONDS)]
        argvs = [
            commands.attempt(words, image=image, name=disposable.name("way"), label=disposable.label(),
                             container=one, env=env)
            for one in containers
        ]  # fmt: skip
        found = deployment.engine.ask_all(argvs)
    reached = [f"{one[:12]} reaches {way.strip()}" for one, way in zip(containers, found, strict=True) if way.strip()]
    tried = f"none of {len(containers)} containers reaches this host at any of {len(ways)} addresses"
    return Reading(not reached, "; ".join(reached) or tried)


def questions_leave(version: str, resolver: str) -> bool:
    """Whether the engine asks others for names on behalf of a closed network (CVE-2024-29018): data may leave in them.

    Args:
        version: of the engine.
        resolver: this host's /etc/resolv.conf; the engine does so for one that listens on a loopback address.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    numbers = tuple(int(one) for one in found.groups()) if found else (0,)
    mended = numbers >= (25, 0, 5) or (23, 0, 11) <= numbers < (24,)
    return not mended and re.search(r"^\s*nameserver\s+(?:127\.|::1)", resolver, re.MULTILINE) is not None


@contextmanager
def _listener() -> Iterator[int]:
    """Takes every connection on this host while it lasts."""
    taking = socket.create_server(("0.0.0.0", 0))  # noqa: S104 -- that is the point: it must be out of reach
    thread = threading.Thread(target=_take, args=(taking,), daemon=True)
    thread.start()
    try:
        yield int(taking.getsockname()[1])
    finally:
        taking.shutdown(socket.SHUT_RDWR)
        taking.close()
        thread.join(_SECONDS)


def _take(taking: socket.socket) -> None:
    while True:
        try:
            taking.accept()[0].close()
        except OSError:  # the block has ended
            return


def _addresses(deployment: Deployment) -> list[str]:
    """Of this host: at every bridge of the engine, and the one by which it reaches others."""
    ids = deployment.engine.ask(commands.networks("driver=bridge")).split()
    raw = json.loads(deployment.engine.run(commands.inspect("network", ids)).out or "[]")
    found = {str(one.get("Gateway", "")) for network in raw for one in network["IPAM"]["Config"] or []}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(_SOMEWHERE)
            found.add(str(one.getsockname()[0]))
        except OSError:  # a host without any route has no such address
            pass
    return sorted(address for address in found if address and ":" not in address)
