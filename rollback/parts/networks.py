"""The project's networks: which were made otherwise than the Compose files say, and how they are made anew.

`docker compose config --hash` says nothing of them. Compose makes one whose definition has changed anew at the next
`up`, for which it stops all that is in it; if only some of the services are named, it stops those and fails. So whoever
brings a network back takes all of its services along. What Compose compares is its own, and other in each version: here
it is what the files say of a network against what the engine has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.engine import inspected
from rollback.outcome import Refused
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from rollback.composing import Compose
    from rollback.deployment import Deployment

__all__ = ["Networks"]

_PROJECT, _NAME = (f"com.docker.compose.{one}" for one in ("project", "network"))


def _like(model: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether the network is what the files say; the rest is Compose's default, or the engine's to choose."""
    if any(
        bool(model.get(key)) != live[name] for key, name in (("internal", "Internal"), ("attachable", "Attachable"))
    ):
        return False
    if model.get("enable_ipv6") is not None and model["enable_ipv6"] != live["EnableIPv6"]:
        return False
    has = {**(live["Options"] or {}), **live["Labels"]}
    told = {**(model.get("driver_opts") or {}), **(model.get("labels") or {})}
    ranges = {(one.get("Subnet"), one.get("Gateway")) for one in live["IPAM"]["Config"] or ()}
    return (
        live["Driver"] == (model.get("driver") or live["Driver"])
        and all(has.get(key) == str(value) for key, value in told.items())
        and all(_within(one, ranges) for one in (model.get("ipam") or {}).get("config") or ())
    )


def _within(wanted: dict[str, Any], ranges: Collection[tuple[str | None, str | None]]) -> bool:
    """Whether the range of addresses is there; the gateway is the engine's choice where the files name none."""
    gateway = wanted.get("gateway")
    return any(subnet == wanted.get("subnet", subnet) and has == (gateway or has) for subnet, has in ranges)


@dataclass(frozen=True)
class Networks:
    """Those of one deployment, beside what these Compose files say of them."""

    deployment: Deployment
    compose: Compose

    def _live(self) -> dict[str, dict[str, Any]]:
        """By name in the Compose files."""
        engine, mine = self.deployment.engine, f"label={_PROJECT}={self.deployment.project}"
        ids = engine.ask(commands.networks(mine), question=True).split()
        found = inspected(engine.run(commands.inspect("network", ids), question=True)) if ids else []
        return {one["Labels"][_NAME]: one for one in found if _NAME in (one["Labels"] or ())}

    def unlike(self) -> list[str]:
        """Networks that are there and were made from another definition."""
        live, model = self._live(), self.deployment.config(self.compose).get("networks") or {}
        mine = {name: one for name, one in model.items() if name in live and not one.get("external")}
        return sorted(name for name, one in mine.items() if not _like(one, live[name]))

    def services(self, names: Collection[str]) -> list[str]:
        """Services that are in one of them."""
        model = self.deployment.config(self.compose)["services"]
        return sorted(name for name, one in model.items() if set(names) & set(one.get("networks") or ()))

    def alone(self, names: Collection[str], services: Collection[str]) -> None:
        """Say that nothing else is in them.

        Raises:
            Refused: something would lose its network.
        """
        mine = {one.id for one in self.deployment.containers() if one.service in services and not one.one_off}
        live = self._live()
        for name in names:
            strange = sorted(one["Name"] for key, one in live[name]["Containers"].items() if key not in mine)
            if strange:
                raise Refused(
                    f"The network {name} has to be made anew, and {', '.join(strange)} is in it as well.",
                    "stop it (another colour: `rollback switch COLOUR --retire`), then repeat the command",
                )

    def reading(self, names: Collection[str], services: Collection[str]) -> Reading:
        """Whether they are as these files say, with all of the services in them."""
        live, wrong = self._live(), [f"network {one} otherwise" for one in self.unlike() if one in names]
        for name in names:
            inside = set(live[name]["Containers"]) if name in live else set()
            mine = set(services) & set(self.services([name]))
            there = [one for one in self.deployment.containers() if one.service in mine and not one.one_off]
            wrong += [f"{one.name} is not in the network {name}" for one in there if one.id not in inside]
        return Reading(not wrong, "; ".join(wrong) or f"network {', '.join(names)} as these files say")

    def anew(self, names: Collection[str], services: Collection[str]) -> None:
        """Take those away that differ, and have Compose make them and the containers of the services; none is started.

        May be repeated after a kill: what is gone is not taken away again.
        """
        engine, live = self.deployment.engine, self._live()
        for name in [one for one in self.unlike() if one in names]:
            for one in live[name]["Containers"]:
                engine.ask(commands.network_disconnect(live[name]["Name"], one))
            engine.ask(commands.network_remove(live[name]["Name"]))
        seconds = self.deployment.settings.timing.stop
        engine.ask(self.compose.recreate(sorted(services), stop_seconds=seconds), seconds=seconds + 120)
