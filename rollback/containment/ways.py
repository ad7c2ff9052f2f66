"""Whether anybody inside reaches this host, tried from every container against a listener of our own.

`--internal` alone does not keep a container from the host: it reaches every service of it at the bridge's address. So
the proof is an attempt, at every address that the host has. One that fails proves nothing unless the same attempt gets
through where there is a way: each container has to reach the doorkeeper first.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.containment.restless import lasts
from rollback.database import disposable
from rollback.engine import CommandFailed
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.deployment import Deployment
    from rollback.engine import Engine

__all__ = ["ASK_SECONDS", "out", "questions_leave"]

_SHORT = 12
_SECONDS, _KNOWN_SECONDS = 1, 5
#: For one question over the network.
ASK_SECONDS = 30
#: Prints the addresses that took a connection, first the one that has to. IPv6 is tried where an interface has it; an
#: address that is good on one link alone ends in %, and gets the name of each interface.
_TRY = """
try() { timeout "$1" bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "$2"; }
try "$KNOWN_SECONDS" "$KNOWN"
for one in $WAYS; do try "$SECONDS_EACH" "$one" & done
[ ! -e /proc/net/if_inet6 ] || while read -r _ _ _ _ _ link; do
  [ "$link" = lo ] || for one in $WAYS6; do try "$SECONDS_EACH" "${one/\\%/%$link}" & done
done </proc/net/if_inet6
wait; true"""
_IPV6 = Path("/proc/net/if_inet6")
_LINK_LOCAL = "20"
#: Nobody is asked there: it says from which address this host would ask (RFC 5737).
_SOMEWHERE = ("192.0.2.1", 9)


def out(deployment: Deployment, containers: Sequence[dict[str, Any]], image: str, known: str) -> Reading:
    """Whether none of these containers reaches a listener on this host at any of its addresses.

    Args:
        deployment: whose they are.
        containers: the engine's records of those who try; of one that ends meanwhile nobody is left to get out.
        image: one with bash, of which nothing but that runs.
        known: address and port, as `192.0.2.1/80`, that each has to reach: of one that does not nothing is proven.
    """
    with _listener() as port:
        ways, ways6 = ([f"{one}/{port}" for one in some] for some in (_addresses(deployment), _addresses6()))
        if not ways:
            return Reading(holds=False, seen="no address of this host is known: nothing was tried")
        env = [f"KNOWN={known}", f"WAYS={' '.join(ways)}", f"WAYS6={' '.join(ways6)}"]
        env += [f"SECONDS_EACH={_SECONDS}", f"KNOWN_SECONDS={_KNOWN_SECONDS}"]
        with ThreadPoolExecutor(len(containers) or 1) as pool:
            found = list(pool.map(partial(_said, deployment.engine, image, env), containers))
    said = {one["Id"]: text for one, text in zip(containers, found, strict=True) if text is not None}
    wrong = [told for one, text in said.items() if (told := _judged(one, text, known))]
    tried = f"none of {len(said)} containers reaches this host at any of {len(ways)} addresses"
    return Reading(not wrong, "; ".join(wrong) or f"{tried}, and each reaches the doorkeeper")


def _said(engine: Engine, image: str, env: Sequence[str], container: dict[str, Any]) -> str | None:
    """What an attempt says; None: it could not be made or reached nothing, for the container ended meanwhile."""
    name, label = disposable.name("way"), disposable.label()
    argv = commands.attempt(
        ["bash", "-c", _TRY], image=image, name=name, label=label, container=container["Id"], env=env
    )
    try:
        said = engine.ask(argv)
    except CommandFailed:
        if lasts(engine, container):
            raise
        return None
    return said if said.strip() or lasts(engine, container) else None


def _judged(container: str, said: str, known: str) -> str:
    """What is wrong with what one attempt said; empty: it got where it may, and nowhere else."""
    reached = list(dict.fromkeys(said.split()))
    if astray := [one for one in reached if one != known]:
        return f"{container[:_SHORT]} reaches {', '.join(astray)}"
    return "" if reached else f"{container[:_SHORT]} is not proven: it does not reach the doorkeeper either"


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
    # that is the point of all addresses: it must be out of reach
    both = socket.has_dualstack_ipv6()
    taking = (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        if both
        else socket.create_server(("0.0.0.0", 0))  # noqa: S104 -- see above
    )
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


def _addresses6() -> list[str]:
    """Of this host in IPv6, that of each bridge as well; one that is good on its link alone ends in %."""
    lines = [one.split() for one in _IPV6.read_text(encoding="ascii").splitlines()] if _IPV6.is_file() else []
    # an interface to a single container has nothing that its bridge has not
    found = [
        (IPv6Address(int(one[0], 16)), one[3]) for one in lines if one[5] != "lo" and not one[5].startswith("veth")
    ]
    return sorted(f"{address}{'%' if scope == _LINK_LOCAL else ''}" for address, scope in found)
