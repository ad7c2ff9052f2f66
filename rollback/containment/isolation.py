"""Shut: outside only a maintenance page, inside no way out, by means of the engine and nginx alone.

Every container leaves its networks and joins one that has no way out and no address of the host. First out, then in: a
container that joined before it left would take its published ports along. Who cannot be moved is stopped (`Apart`).
The ports of the edge are then held by a doorkeeper: an nginx with a configuration of ours, in which nothing of the
deployment runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands, private
from rollback.containment import door, restless, ways
from rollback.containment.apart import Apart, records
from rollback.containment.members import foreign, homes, name, one_off, ports, published, service
from rollback.containment.standing import Standing
from rollback.engine import wait_until
from rollback.outcome import Failed, Refused, Stop
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from rollback.deployment import Deployment

__all__ = ["GRACE_SECONDS", "Isolation"]

_PROJECT = "com.docker.compose.project"
_RESOLVER = Path("/etc/resolv.conf")
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

    @property
    def apart(self) -> Apart:
        """Who is stopped meanwhile."""
        return Apart(self.deployment)

    def inside(self) -> list[dict[str, Any]]:
        """The engine's record of every container of the deployment, the doorkeeper excepted.

        Raises:
            Failed: it names containers and tells of none: nobody could say that they are shut in.
        """
        found = records(self.deployment, f"{_PROJECT}={self.deployment.project}")
        return [one for one in found if door.LABEL not in (one["Config"].get("Labels") or {})]

    def _edge(self, *, but: bool = False) -> list[dict[str, Any]]:
        """The edge's containers; `but`: all others."""
        return [one for one in self.inside() if (service(one) == self.deployment.settings.edge.service) is not but]

    def _ports(self) -> list[str]:
        """What the edge publishes, or would at home: one that died, or dies again and again, is no reason to wait."""
        return [port for one in self._edge() for port in ports(one)]

    def possible(self) -> list[str]:
        """Say that the engine can shut every container in; the names of those that are stopped for it.

        Raises:
            Refused: nobody knows which ports are to be held.
        """
        if Standing.read(self.deployment) is None and not self._ports():
            raise Refused("The edge has no port: nobody knows which ports are to be held.", "start it")
        return self.apart.told(self.inside())

    def gaps(self) -> list[str]:
        """Ways out that this engine leaves in spite of it, in words."""
        resolver = _RESOLVER.read_text(encoding="utf-8") if _RESOLVER.is_file() else ""
        version = str(json.loads(self.deployment.engine.ask(commands.engine_info()))["ServerVersion"])
        told = (
            f"Docker {version} asks this host's resolver for names also on behalf of a closed network: what is inside"
            " can send data out in such questions (CVE-2024-29018) until the engine is 25.0.5 or newer"
        )
        return [*([told] if ways.questions_leave(version, resolver) else []), *self.gaps_of_others()]

    def gaps_of_others(self) -> list[str]:
        """Who goes on beside the deployment, in words."""
        return [
            f"containers of the monitoring project that were made in {one} are another checkout's, and go on"
            for one in self.apart.strangers()
        ]

    # shut

    def shut(self) -> None:
        """Note where everybody is at home, take everybody out, and have the doorkeeper hold the ports.

        Raises:
            Failed: the engine refuses; what is out stays out.
        """
        self._note()
        self._network()
        restless.each(self.deployment, self._take_in, self.inside())
        self.apart.stop(self.inside())
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
            at_home = [home for home in homes(one) if home.network != self.network]
            if at_home:
                # after a kill it may be in some of them only
                found.homes.setdefault(one["Id"], at_home)
        found.ports = self._ports() or found.ports
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
        now = homes(raw)
        if foreign(raw) or [one.network for one in now] == [self.network]:
            return
        for one in now:
            self.deployment.engine.ask(commands.network_disconnect(one.network, raw["Id"]))
        known = [*now, *self._standing().homes.get(raw["Id"], [])]
        names = sorted({*(name for one in known for name in one.aliases), *filter(None, [service(raw)])})
        self.deployment.engine.ask(commands.network_connect(self.network, raw["Id"], names))

    def admit(self, ids: Collection[str]) -> list[str]:
        """Take in what was made anew meanwhile, before it is started; which of these may be started now."""
        self._note()
        there = self.inside()
        restless.each(self.deployment, self._take_in, there)
        later = [one["Id"] for one in there if one["Id"] in ids and foreign(one)]
        self.apart.wait(later)
        return [one for one in ids if one not in later]

    def waiting(self) -> set[str]:
        """IDs of containers that are started no earlier than the deployment is opened."""
        return self.apart.waiting(self.inside()) if Standing.read(self.deployment) is not None else set()

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
        there = self.inside()
        if astray := sorted(name(one) for one in there if self._is_astray(one)):
            return Reading(holds=False, seen=f"in networks that lead out, or with open ports: {', '.join(astray)}")
        if loose := self.apart.told(there):
            return Reading(holds=False, seen=f"running, and nobody can shut them in: {', '.join(loose)}")
        shown = self.door.reading()
        if not shown.holds:
            return shown
        running = [one for one in self.inside() if restless.is_up(one) and not foreign(one)]
        out = ways.out(self.deployment, running, self.door.image(), self.door.address())
        return out if not out.holds else Reading(holds=True, seen=f"{out.seen}; {shown.seen}")

    def _is_astray(self, raw: dict[str, Any]) -> bool:
        networks = set(raw["NetworkSettings"]["Networks"])
        return not foreign(raw) and (bool(networks - {self.network}) or bool(published(raw)))

    # open

    def open(self, served: Callable[[], None] = lambda: None) -> None:
        """Everybody back home, the doorkeeper gone; the edge last, which needs its ports.

        Args:
            served: raises where users are not served then.

        Raises:
            Failed: the engine refuses, or the edge does not answer. Whatever ends this, the operator as well, shuts all
                that was opened again.
        """
        standing = Standing.read(self.deployment)
        try:
            if standing is not None:
                self._open(standing)
            served()
        except BaseException as cause:
            self._shut_again(cause)
            raise

    def _open(self, standing: Standing) -> None:
        restless.each(self.deployment, self._home, self._edge(but=True))
        self._afresh([one for one in self._edge(but=True) if one["Id"] in standing.homes])
        self.door.remove()
        restless.each(self.deployment, self._home, self._edge())
        self._edge_back(standing)
        self.apart.start(standing, self.inside())
        self._forget()

    def _shut_again(self, cause: BaseException) -> None:
        try:
            self.shut()
        except Stop as stop:
            first = cause.found if isinstance(cause, Stop) else f"{type(cause).__name__}: {cause}."
            why = f"{first} It could not be shut again either: {stop.found}"
            raise Failed(why, "`rollback contain isolate`") from cause

    def _afresh(self, there: Iterable[dict[str, Any]]) -> None:
        """Start the released services again: their connections ended without a word, and some would wait for ever."""
        names = {one.service for one in self.deployment.settings.services.values()}
        mine = {str(one["Id"]) for one in there if service(one) in names and one["State"]["Running"]}
        self.deployment.engine.ask_all([commands.restart([one], seconds=GRACE_SECONDS) for one in sorted(mine)])

        def now() -> tuple[bool, str]:
            ill = sorted(one.name for one in self.deployment.containers() if one.id in mine and not one.well)
            return not ill, f"not well: {', '.join(ill)}" if ill else "healthy"

        wait_until(now, seconds=self.deployment.settings.timing.healthy, what="the released services, back home")

    def _edge_back(self, standing: Standing) -> None:
        down = [str(one["Id"]) for one in self._edge() if not one["State"]["Running"] and not one_off(one)]
        if down:
            self.deployment.engine.ask(commands.start(down))
        wait_until(self._edge_holds(standing), seconds=SETTLE_SECONDS, what="the edge at its ports")
        if refused := self._look_again():
            raise Failed(f"The edge does not take its configuration: {refused}.", "mend that file")

    def _edge_holds(self, standing: Standing) -> Callable[[], tuple[bool, str]]:
        def now() -> tuple[bool, str]:
            held = {port for one in self._edge() for port in published(one)}
            # whose address only the engine knows is held at any
            lacking = [one for one in standing.ports if not any(f":{two}".endswith(f":{one}") for two in held)]
            return not lacking, f"not held: {', '.join(lacking)}" if lacking else "held"

        return now

    def _home(self, raw: dict[str, Any]) -> None:
        """Out, then home: see `_take_in`; whoever was stopped for that is started, and who lives with others later."""
        inside, standing = set(raw["NetworkSettings"]["Networks"]), self._standing()
        if self.network in inside:
            self.deployment.engine.ask(commands.network_disconnect(self.network, raw["Id"]))
        for one in standing.homes.get(raw["Id"], []):
            if one.network not in inside:
                argv = commands.network_connect(one.network, raw["Id"], one.aliases, one.address)
                self.deployment.engine.ask(argv)
        if raw["Id"] in standing.stopped and not foreign(raw):
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
        lost = [name(one) for one in running if not one["NetworkSettings"]["Networks"] and not foreign(one)]
        return Reading(not lost, f"in no network: {', '.join(lost)}" if lost else "open")
