"""The edge as a part: which containers serve, switched by an nginx reload that is proven and not believed.

A reload that returns 0 has proven nothing (a port in use, a file the container does not see). So each switch
writes a generation marker that the edge itself must answer on the listener that users reach, and the workers of
the generation before are watched until they have finished their requests.
"""

from __future__ import annotations

import re
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback import commands
from rollback.engine import POLL_SECONDS, wait_for, wait_until
from rollback.outcome import Failed, Stop
from rollback.parts import files
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["Edge", "Route", "upstreams"]

MARKER_HOST = "generation.rollback.invalid"
SWITCH_SECONDS = 15

_LEADS = re.compile(r"^\s*upstream\s+([\w.-]+)\s*\{\s*server\s+([^\s:;]+)", re.MULTILINE)
_TOLD = re.compile(r"^([\w.-]+) ([^\s:]+):\d+$", re.MULTILINE)
_WAITING = re.compile(r"Waiting: (\d+)")

_MASTER, _ACCEPTS = "nginx: master process ", "nginx: worker process "
_TESTED = "-- the files are tested --"

#: Worker processes with their titles, read from /proc: nginx images have no `ps`.
_WORKERS = "for p in /proc/[0-9]*; do tr '\\0' ' ' 2>/dev/null < $p/cmdline && echo \" ${p#/proc/}\"; done"


@dataclass(frozen=True)
class Route:
    """One nginx upstream: its name, the server that answers, and one that still has the assets of before."""

    upstream: str
    server: str
    backup: str | None = None

    def line(self) -> str:
        """As nginx reads it."""
        backup = f" server {self.backup} backup;" if self.backup else ""
        return f"upstream {self.upstream} {{ server {self.server};{backup} }}\n"


def upstreams(routes: list[Route], generation: str, port: int) -> str:
    """The whole upstream file; nginx can say itself to whom the one that it has read leads."""
    leads = "".join(f"{route.upstream} {route.server}\\n" for route in routes)
    return (
        "# Written by rollback: which containers serve, and the generation that proves it.\n"
        + "".join(route.line() for route in routes)
        + f"server {{ listen {port}; server_name {MARKER_HOST}; location = /status {{ stub_status; }} "
        + f'location = /leads {{ default_type text/plain; return 200 "{leads}"; }} '
        + f'location / {{ default_type text/plain; return 200 "{generation}\\n"; }} }}\n'
    )


@dataclass(frozen=True)
class Edge:
    """The nginx of one deployment."""

    deployment: Deployment

    @property
    def file(self) -> Path:
        """The upstream file on the host."""
        return self.deployment.root / self.deployment.settings.edge.upstream_file

    def routes(self, servers: dict[str, str], backups: dict[str, str]) -> list[Route]:
        """Upstreams of all roles that users reach, each to `servers[role]` or else to its Compose service."""
        table = self.deployment.settings.services
        return [
            Route(
                service.upstream,
                f"{servers.get(role, service.service)}:{service.port}",
                f"{backups[role]}:{service.port}" if role in backups else None,
            )
            for role, service in table.items()
            if service.upstream
        ]

    def content(self, generation: str, servers: dict[str, str], backups: dict[str, str]) -> str:
        """The upstream file for these servers."""
        return upstreams(self.routes(servers, backups), generation, self.deployment.settings.edge.http_port)

    def leads(self) -> dict[str, str]:
        """By role the server that its upstream leads to, as the upstream file has it."""
        text = self.file.read_text(encoding="utf-8", errors="replace") if self.file.is_file() else ""
        return self._by_role(dict(_LEADS.findall(text)))

    def applied(self) -> dict[str, str]:
        """The same in nginx's own words, of the file that it has read; nothing of a file that was not written here."""
        answer = self.deployment.through_edge("/leads", f"Host: {MARKER_HOST}")
        return self._by_role(dict(_TOLD.findall(answer.body)))

    def _by_role(self, found: dict[str, str]) -> dict[str, str]:
        table = self.deployment.settings.services
        return {role: found[one.upstream] for role, one in table.items() if one.upstream in found}

    def coloured(self) -> dict[str, str]:
        """Which colour serves, for whoever writes the upstream file anew without moving users."""
        role = self.deployment.settings.switch.role
        colours = {one.service for one in self.deployment.settings.switch.colours.values()}
        server = self.leads().get(role)
        return {role: server} if server in colours and server is not None else {}

    def knows(self, services: list[str]) -> tuple[bool, str]:
        """Whether every name has an address inside the edge; nginx refuses a file with one that has none."""
        ask = self.deployment.in_edge
        lost = [name for name in services if ask(["getent", "hosts", name], question=True).code != 0]
        return not lost, f"no address for {', '.join(lost)}: it does not run" if lost else "all have an address"

    def generation(self) -> str:
        """The generation that the edge answers now; empty when it does not answer."""
        answer = self.deployment.through_edge("/", f"Host: {MARKER_HOST}")
        return answer.body.strip() if answer.status == 200 else ""  # noqa: PLR2004 -- HTTP

    def reading(self, generation: str) -> Reading:
        """Whether the edge answers with this generation."""
        seen = self.generation()
        return Reading(seen == generation, f"the edge answers generation {seen or '(none)'}")

    def switch(self, generation: str, content: str, *, anew: bool = False) -> None:
        """Put an upstream file into force; on any failure the file of before is put back.

        Args:
            generation: what the edge has to answer.
            content: the file.
            anew: Compose's files have the edge otherwise than it runs: it is made anew and reads the file then.

        Raises:
            Failed: nginx refused the file, or accepted it and did not apply it.
        """
        before = self.file.read_text(encoding="utf-8") if self.file.exists() else content
        files.write(self.file, content)
        try:
            with self._closing():
                self._apply(anew=anew)
            wait_until(
                lambda: ((now := self.reading(generation)).holds, now.seen),
                seconds=SWITCH_SECONDS,
                what=f"the switch of the edge to generation {generation}",
            )
        except BaseException:
            files.write(self.file, before)
            raise

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Let kept connections end before the reload that would cut them: see [edge] closing_file."""
        name = self.deployment.settings.edge.closing_file
        if name is None:
            yield
            return
        switch = self.deployment.root / name
        files.write(switch, "connections end after each answer: a switch is going on\n", mode=0o644)
        try:
            self._wait_for_idle_to_end()
            yield
        finally:
            switch.unlink(missing_ok=True)

    def end_closing(self) -> None:
        """Take away what a killed switch left: connections live on again."""
        name = self.deployment.settings.edge.closing_file
        if name is not None:
            (self.deployment.root / name).unlink(missing_ok=True)

    def _wait_for_idle_to_end(self) -> None:
        """Up to closing_seconds: a browser tab that asks nothing keeps its connection, and loses nothing."""
        deadline = time.monotonic() + self.deployment.settings.edge.closing_seconds
        while self._idle() > 0 and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _idle(self) -> int:
        """Connections that wait for a next request; 0 where nginx does not tell."""
        try:
            answer = self.deployment.through_edge("/status", f"Host: {MARKER_HOST}")
        except Stop:
            # it does not run: there is nobody to wait for
            return 0
        found = _WAITING.search(answer.body)
        return int(found[1]) if found else 0

    def _apply(self, *, anew: bool) -> None:
        table = self.deployment.settings
        if anew or self.deployment.edge_running() is None:
            # one that dies at every start waits longer and longer: it begins anew
            stuck = [one.id for one in self.deployment.serving(table.edge.service) if not one.running]
            if stuck:
                self.deployment.engine.ask(commands.stop(stuck, seconds=table.timing.stop))
            up = self.deployment.compose.up([table.edge.service], wait_seconds=table.timing.healthy)
            self.deployment.engine.ask(up)
            return
        old = self._reload()
        wait_for(lambda: self._changed(old), seconds=SWITCH_SECONDS, what="the change of the edge's workers")

    def _changed(self, old: set[str]) -> Reading:
        left = old & self._workers()
        return Reading(not left, f"old workers {sorted(left)} accept requests")

    def takes(self) -> bool:
        """Whether the edge runs and nginx in it would take the files as they are now."""
        if self.deployment.edge_running() is None:
            return False
        return self.deployment.in_edge(self.deployment.settings.edge.test).code == 0

    def _reload(self) -> set[str]:
        """Test the files and reload; PIDs of the workers that accepted connections before.

        One program in the edge instead of three: starting one takes longer than what it does, and users who keep a
        connection are the likelier to use it the longer the reload is in coming.

        Raises:
            Failed: which of the two did not go well, and what it said.
        """
        table = self.deployment.settings.edge
        script = f"{shlex.join(table.test)} || exit; {_WORKERS}; echo '{_TESTED}'; {shlex.join(table.reload)}"
        result = self.deployment.in_edge(["sh", "-c", script])
        # the last one: the script itself is among the processes that are listed
        before, tested, _ = result.out.rpartition(_TESTED)
        if result.code != 0:
            command, said = table.reload if tested else table.test, result.err.strip()
            raise Failed(f"`{' '.join(command)}` in the edge ended with {result.code}: {said}", "mend that file")
        return _pids(before, _ACCEPTS)

    def _workers(self, title: str = _ACCEPTS) -> set[str]:
        """PIDs of workers that accept connections, or of those with another title.

        Raises:
            Failed: they cannot be listed: then nobody knows whether one has requests left.
        """
        said = self.deployment.in_edge(["sh", "-c", _WORKERS], question=True)
        # its exit code says nothing: a process may end while it is listed
        if _MASTER not in said.out:
            raise Failed(f"The edge's workers cannot be listed: {said.err.strip() or said.out.strip() or 'no master'}.")
        return _pids(said.out, title)

    def draining(self) -> Reading:
        """Whether all workers of earlier generations have finished."""
        left = self._workers("nginx: worker process is shutting down")
        return Reading(not left, f"{len(left)} old worker(s) still have requests")

    def drain(self) -> None:
        """Wait until no worker of an earlier generation has requests left.

        Raises:
            Failed: when they did not finish within edge.drain_seconds (and a margin of 5 s).
        """
        seconds = self.deployment.settings.edge.drain_seconds + 5
        wait_for(self.draining, seconds=seconds, what="the end of requests in flight")


def _pids(listed: str, title: str) -> set[str]:
    """Of the processes with this title."""
    lines = [line for line in listed.splitlines() if line.startswith(title)]
    wanted = [line for line in lines if ("shutting down" in line) == ("shutting down" in title)]
    return {line.split()[-1] for line in wanted}
