"""What the engine's record of a container says of its networks and its ports."""

from __future__ import annotations

from typing import Any

from rollback.containment.standing import Home

__all__ = ["foreign", "homes", "name", "one_off", "ports", "published", "service"]

_SHORT = 12
_SERVICE, _ONE_OFF = "com.docker.compose.service", "com.docker.compose.oneoff"
_FOREIGN = ("host", "container:")


def service(raw: dict[str, Any]) -> str:
    """Its Compose service; empty where it has none."""
    return str((raw["Config"].get("Labels") or {}).get(_SERVICE, ""))


def one_off(raw: dict[str, Any]) -> bool:
    """Whether somebody made it by `docker compose run`: nobody starts it again."""
    return (raw["Config"].get("Labels") or {}).get(_ONE_OFF) == "True"


def name(raw: dict[str, Any]) -> str:
    """As docker shows it."""
    return str(raw["Name"]).lstrip("/")


def foreign(raw: dict[str, Any]) -> bool:
    """Whether it lives in the network of the host or of another container, out of which the engine takes nobody."""
    return str(raw["HostConfig"].get("NetworkMode", "")).startswith(_FOREIGN)


def homes(raw: dict[str, Any]) -> list[Home]:
    """Its networks, with the names that it has there beside its own ID."""
    found = []
    for network, end in raw["NetworkSettings"]["Networks"].items():
        aliases = [one for one in end.get("Aliases") or [] if one != raw["Id"][:_SHORT]]
        fixed = (end.get("IPAMConfig") or {}).get("IPv4Address")
        found.append(Home(network, aliases, fixed))
    return found


def published(raw: dict[str, Any]) -> list[str]:
    """What it publishes now, in docker's words; one that does not run publishes nothing."""
    return [_words(inside, one) for inside, one in _each(raw["NetworkSettings"].get("Ports"))]


def ports(raw: dict[str, Any]) -> list[str]:
    """What it publishes, or would if it ran at home; nothing where the engine would choose one of them anew."""
    wanted = list(_each(raw["HostConfig"].get("PortBindings")))
    fixed = all(one["HostPort"].isdigit() and int(one["HostPort"]) for _, one in wanted)
    return published(raw) or ([_words(inside, one) for inside, one in wanted] if fixed else [])


def _each(bound: dict[str, Any] | None) -> list[tuple[str, dict[str, str]]]:
    return [(inside, one) for inside, some in (bound or {}).items() for one in some or []]


def _words(inside: str, bound: dict[str, str]) -> str:
    """As `docker run --publish` takes it; without an address it is the engine that knows which."""
    address = bound["HostIp"]
    where = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    return f"{where}{bound['HostPort']}:{inside}"
