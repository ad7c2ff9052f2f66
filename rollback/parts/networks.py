"""The project's networks: which were made otherwise than the Compose files say, and how they are made anew.

`docker compose config --hash` says nothing of them. Compose marks each with a hash of its definition and makes one that
differs anew at the next `up`, for which it stops all that is in it; if only some of the services are named, it stops
those and fails. So whoever brings a network back takes all of its services along.
"""

from __future__ import annotations

import hashlib
import json
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

_PROJECT, _NAME, _HASH = (f"com.docker.compose.{one}" for one in ("project", "network", "config-hash"))


def _digest(model: dict[str, Any]) -> str:
    """Compose's hash of a definition: that of its JSON as Go writes it."""
    text = json.dumps(model, separators=(",", ":"), ensure_ascii=False)
    for letter in "&<>":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Networks:
    """Those of one deployment, beside what these Compose files say of them."""

    deployment: Deployment
    compose: Compose

    def _live(self) -> dict[str, dict[str, Any]]:
        """By name in the Compose files; one that Compose did not mark tells nothing and is left out."""
        engine, mine = self.deployment.engine, f"label={_PROJECT}={self.deployment.project}"
        ids = engine.ask(commands.networks(mine), question=True).split()
        found = inspected(engine.run(commands.inspect("network", ids), question=True)) if ids else []
        return {one["Labels"][_NAME]: one for one in found if {_NAME, _HASH} <= set(one["Labels"] or ())}

    def unlike(self) -> list[str]:
        """Networks that are there and were made from another definition."""
        live, model = self._live(), self.deployment.config(self.compose).get("networks") or {}
        mine = {name: one for name, one in model.items() if name in live and not one.get("external")}
        return sorted(name for name, one in mine.items() if live[name]["Labels"][_HASH] != _digest(one))

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
