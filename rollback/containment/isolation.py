"""Shut: outside only a maintenance page, inside no way out, by means of the engine and nginx alone.

Every container leaves its networks and joins one that has no way out and no address of the host. First out, then in: a
container that joined before it left would take its published ports along. The ports of the edge are then held by a
doorkeeper: an nginx with a configuration of ours, in which nothing of the deployment runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands, private
from rollback.containment import door, restless, ways
from rollback.containment.standing import Home, Standing
from rollback.engine import wait_until
from rollback.outcome import Failed, Refused
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rollback.deployment import Deployment

__all__ = ["GRACE_SECONDS", "Isolation"]

_SHORT = 12
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_RESOLVER = Path("/etc/resolv.conf")
_FOREIGN = ("host", "container:")
SETTLE_SECONDS = 15
#: What a service has to end in: users are away, and one whose connections were cut may not notice a signal.
GRACE_SECONDS = 5


@dataclass(frozen=True)
class Isolation:
    """The shutting of one deployment; every act may be repeated."""

    deployment: Deployment

    @property
    def network(self) -> str:
        """The network without a way out."""
        return f"{self.deployment.project}_contained"

    @property
    def door(self) -> door.Door:
        """Who holds the edge's ports meanwhile."""
        return door.Door(self.deployment, self.network)

    # what is there

    def inside(self) -> list[dict[str, Any]]:
        """The engine's record of every container of the deployment, the doorkeeper excepted.

        Raises:
            Failed: it names containers and tells of none: nobody could say that they are shut in.
        """
        ids = self.deployment.engine.ask(commands.containers(f"label={_PROJECT}={self.deployment.project}")).split()
        raw = self.deployment.engine.run(commands.inspect("container", ids)).out if ids else "[]"
        found = json.loads(raw or "[]")
        if ids and not found:
            raise Failed("The engine tells nothing of the deployment's containers.", "`docker ps`, then repeat it")
        return [one for one in found if door.LABEL not in (one["Config"].get("Labels") or {})]

    def possible(self) -> None:
        """Say that the engine can shut every container in.

        Raises:
            Refused: one lives in the network of the host or of another container, or the edge does not run.
        """
        for one in self.inside():
            mode = str(one["HostConfig"]["NetworkMode"])
            if one["State"]["Running"] and mode.startswith(_FOREIGN):
                raise Refused(
                    f"{one['Name'].lstrip('/')} lives in the network `{mode}`, which the engine cannot shut.",
                    f"stop it first: `docker stop {one['Name'].lstrip('/')}`",
                )
        if Standing.read(self.deployment) is None and self.deployment.edge_running() is None:
            raise Refused("The edge does not run: nobody knows which ports are to be held.", "start it")

    def gaps(self) -> list[str]:
        """Ways out that this engine leaves in spite of it, in words."""
        resolver = _RESOLVER.read_text(encoding="utf-8") if _RESOLVER.is_file() else ""
        version = str(json.loads(self.deployment.engine.ask(commands.engine_info()))["ServerVersion"])
        told = (
            f"Docker {version} asks this host's resolver for names also on behalf of a closed network: what is inside"
            " can send data out in such questions (CVE-2024-29018) until the engine is 25.0.5 or newer"
        )
        return [told] if ways.questions_leave(version, resolver) else []

    # shut

    def shut(self) -> None:
        """Note where everybody is at home, take everybody out, and have the doorkeeper hold the ports.

        Raises:
            Failed: the engine refuses; what is out stays out.
        """
        self._note()
        self._network()
        restless.each(self.deployment, self._take_in, self.inside())
        if not self.door.reading().holds:
            self.door.open(self._standing().ports)
        # for operators; an edge that does not take its own configuration is no reason to open anything
        self._look_again()

    def _look_again(self) -> str:
        """Have nginx ask for its upstreams again, which have other addresses now; why it would not, or nothing."""
        if self.deployment.edge_running() is None:
            return "it does not run"
        result = self.deployment.in_edge(self.deployment.settings.edge.reload)
        return "" if result.code == 0 else result.err.strip()

    def _note(self) -> None:
        """Before anything is touched; what a killed try has noted stays."""
        private.folder(self.deployment.state)
        found = Standing.read(self.deployment) or Standing(datetime.now(UTC).isoformat(timespec="seconds"))
        for one in self.inside():
            homes = [home for home in _homes(one) if home.network != self.network]
            if homes:
                # after a kill it may be in some of them only
                found.homes.setdefault(one["Id"], homes)
        edge = self.deployment.settings.edge.service
        ports = [port for one in self.inside() if _service(one) == edge for port in _published(one)]
        found.ports = ports or found.ports
        found.write(self.deployment)

    def _standing(self) -> Standing:
        found = Standing.read(self.deployment)
        if found is None:
            raise Failed("Nobody knows where the containers were at home.", "`rollback contain isolate`")
        return found

    def _network(self) -> None:
        there = self.deployment.engine.ask(commands.networks(f"name=^{self.network}$")).split()
        if not there:
            labels = {_PROJECT: self.deployment.project, door.LABEL: self.deployment.project}
            self.deployment.engine.ask(commands.network_create(self.network, labels, closed=True))

    def _take_in(self, raw: dict[str, Any]) -> None:
        """Out of everything, then in: the other way round the published ports would come along."""
        now = _homes(raw)
        if [one.network for one in now] == [self.network]:
            return
        for one in now:
            self.deployment.engine.ask(commands.network_disconnect(one.network, raw["Id"]))
        known = [*now, *self._standing().homes.get(raw["Id"], [])]
        names = sorted({*(name for one in known for name in one.aliases), *filter(None, [_service(raw)])})
        self.deployment.engine.ask(commands.network_connect(self.network, raw["Id"], names))

    def admit(self) -> None:
        """Take in what was made anew meanwhile, before it is started."""
        self._note()
        restless.each(self.deployment, self._take_in, self.inside())

    def show_again(self) -> None:
        """Have the doorkeeper show the certificate that the edge has now; where it is open there is none."""
        standing = Standing.read(self.deployment)
        if standing is not None:
            self.door.open(standing.ports)

    def shows(self, certificate: Path) -> Reading:
        """Whether outside this certificate is shown and no other; while it is shut, by the doorkeeper."""
        if Standing.read(self.deployment) is None:
            return Reading(holds=True, seen="every listener of the edge shows it")
        wrong = self.door.shows_others(certificate)
        return Reading(not wrong, "; ".join(wrong) or "every listener of the edge and the maintenance page show it")

    # seen

    def reading(self) -> Reading:
        """Whether nobody inside has a way out, and outside answers only the page, both tried."""
        if Standing.read(self.deployment) is None:
            return Reading(holds=False, seen="open")
        astray = sorted(one["Name"].lstrip("/") for one in self.inside() if self._is_astray(one))
        if astray:
            return Reading(holds=False, seen=f"in networks that lead out, or with open ports: {', '.join(astray)}")
        shown = self.door.reading()
        if not shown.holds:
            return shown
        running = [one for one in self.inside() if restless.is_up(one)]
        out = ways.out(self.deployment, running, self.door.image(), self.door.address())
        return out if not out.holds else Reading(holds=True, seen=f"{out.seen}; {shown.seen}")

    def _is_astray(self, raw: dict[str, Any]) -> bool:
        networks = set(raw["NetworkSettings"]["Networks"])
        return networks > {self.network} or bool(networks - {self.network}) or bool(_published(raw))

    # open

    def open(self) -> None:
        """Everybody back home, the doorkeeper gone; the edge last, which needs its ports.

        Raises:
            Failed: the engine refuses, or the edge does not answer; then the doorkeeper holds the ports again.
        """
        standing = Standing.read(self.deployment)
        if standing is None:
            return
        there, edge = self.inside(), self.deployment.settings.edge.service
        restless.each(self.deployment, self._home, [one for one in there if _service(one) != edge])
        self._afresh([one for one in there if one["Id"] in standing.homes])
        self.door.remove()
        try:
            restless.each(self.deployment, self._home, [one for one in there if _service(one) == edge])
            self._edge_back(standing)
        except Failed:
            restless.each(self.deployment, self._take_in, [one for one in self.inside() if _service(one) == edge])
            self.door.open(standing.ports)
            raise
        self._forget()

    def _afresh(self, there: Iterable[dict[str, Any]]) -> None:
        """Start the released services again: their connections ended without a word, and some would wait for ever."""
        names = {one.service for one in self.deployment.settings.services.values()}
        mine = {str(one["Id"]) for one in there if _service(one) in names and one["State"]["Running"]}
        self.deployment.engine.ask_all([commands.restart([one], seconds=GRACE_SECONDS) for one in sorted(mine)])

        def now() -> tuple[bool, str]:
            ill = sorted(one.name for one in self.deployment.containers() if one.id in mine and not one.well)
            return not ill, f"not well: {', '.join(ill)}" if ill else "healthy"

        wait_until(now, seconds=self.deployment.settings.timing.healthy, what="the released services, back home")

    def _edge_back(self, standing: Standing) -> None:
        wait_until(self._edge_holds(standing), seconds=SETTLE_SECONDS, what="the edge at its ports")
        if refused := self._look_again():
            raise Failed(f"The edge does not take its configuration: {refused}.", "mend that file")

    def _edge_holds(self, standing: Standing) -> Callable[[], tuple[bool, str]]:
        def now() -> tuple[bool, str]:
            edge = self.deployment.settings.edge.service
            held = {port for one in self.inside() if _service(one) == edge for port in _published(one)}
            lacking = sorted(set(standing.ports) - held)
            return not lacking, f"not held: {', '.join(lacking)}" if lacking else "held"

        return now

    def _home(self, raw: dict[str, Any]) -> None:
        """Out, then home: see `_take_in`; whoever was stopped for that is started."""
        inside, standing = set(raw["NetworkSettings"]["Networks"]), self._standing()
        if self.network in inside:
            self.deployment.engine.ask(commands.network_disconnect(self.network, raw["Id"]))
        for one in standing.homes.get(raw["Id"], []):
            if one.network not in inside:
                argv = commands.network_connect(one.network, raw["Id"], one.aliases, one.address)
                self.deployment.engine.ask(argv)
        if raw["Id"] in standing.stopped:
            self.deployment.engine.ask(commands.start([raw["Id"]]))

    def _forget(self) -> None:
        there = self.deployment.engine.ask(commands.networks(f"name=^{self.network}$")).split()
        if there:
            self.deployment.engine.ask(commands.network_remove(self.network))
        Standing.path(self.deployment).unlink(missing_ok=True)

    def opened(self) -> Reading:
        """Whether the deployment is open, and everybody who runs is in a network."""
        standing = Standing.read(self.deployment)
        if standing is not None:
            return Reading(holds=False, seen=f"isolated since {standing.since}")
        running = [one for one in self.inside() if one["State"]["Running"]]
        lost = [str(one["Name"]).lstrip("/") for one in running if not one["NetworkSettings"]["Networks"]]
        return Reading(not lost, f"in no network: {', '.join(lost)}" if lost else "open")


def _service(raw: dict[str, Any]) -> str:
    return str((raw["Config"].get("Labels") or {}).get(_SERVICE, ""))


def _homes(raw: dict[str, Any]) -> list[Home]:
    """Its networks, with the names that it has there beside its own ID."""
    found = []
    for name, end in raw["NetworkSettings"]["Networks"].items():
        aliases = [one for one in end.get("Aliases") or [] if one != raw["Id"][:_SHORT]]
        fixed = (end.get("IPAMConfig") or {}).get("IPv4Address")
        found.append(Home(name, aliases, fixed))
    return found


def _published(raw: dict[str, Any]) -> list[str]:
    """What it publishes now, in docker's words."""
    ports = raw["NetworkSettings"].get("Ports") or {}
    return [
        f"{one['HostIp']}:{one['HostPort']}:{inside}"
        if ":" not in one["HostIp"]
        else f"[{one['HostIp']}]:{one['HostPort']}:{inside}"
        for inside, bound in ports.items()
        for one in bound or []
    ]
