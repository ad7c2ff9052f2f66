"""Two colours of one released service: which of them serves, and how the other one is started, proven and stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database.compatibility import recorded
from rollback.engine import wait_for
from rollback.outcome import Refused, Stop, UsageError
from rollback.parts.edge import Edge
from rollback.plan import Reading

if TYPE_CHECKING:
    from rollback.composing import Compose
    from rollback.deployment import Container, Deployment

__all__ = ["Colours", "blue_serves"]

_OK = 200
_LOG_LINES = 15


@dataclass(frozen=True)
class Colours:
    """The colours of one deployment."""

    deployment: Deployment

    def check(self, name: str) -> str:
        """The other colour.

        Raises:
            UsageError: rollback.toml has no colours, or none of that name.
        """
        table = self.deployment.settings.switch.colours
        if not table:
            raise UsageError(
                "rollback.toml has no [switch.colours].",
                "add both with their service, or use `rollback application VERSION`, which starts beside by itself",
            )
        if name not in table:
            raise UsageError(f"There is no colour `{name}`; there are: {', '.join(table)}.", "name one of those")
        (other,) = (one for one in table if one != name)
        return other

    def service(self, name: str) -> str:
        """The Compose service of a colour."""
        return self.deployment.settings.switch.colours[name].service

    def serving(self) -> str | None:
        """The colour to which the edge leads; None where it leads elsewhere."""
        leads = Edge(self.deployment).coloured().values()
        return next((name for name in self.deployment.settings.switch.colours if self.service(name) in leads), None)

    def servers(self, name: str) -> dict[str, str]:
        """What the upstream file has to lead to."""
        return {self.deployment.settings.switch.role: self.service(name)}

    def containers(self, name: str) -> list[Container]:
        """Those that run."""
        return [one for one in self.deployment.serving(self.service(name)) if one.running]

    def start(self, name: str) -> None:
        """Have Compose run it, with its own files, and wait until it is healthy.

        Raises:
            Refused: it does not become healthy, with the end of its log.
        """
        seconds = self.deployment.settings.timing.healthy
        argv = self._compose(name).up([self.service(name)], wait_seconds=seconds)
        result = self.deployment.engine.run(argv, seconds=seconds + 60)
        if result.code != 0:
            said = result.err.strip().splitlines()[-1:] or ["no message"]
            raise Refused(f"{name} does not come up: {said[0]}. {self._log(name)}", "choose what runs as it first")

    def _compose(self, name: str) -> Compose:
        own = self.deployment.settings.switch.colours[name].files
        plain = self.deployment.compose
        return replace(plain, files=(*plain.files, *(self.deployment.root / one for one in own)))

    def _log(self, name: str) -> str:
        there = self.deployment.serving(self.service(name))
        if not there:
            return ""
        result = self.deployment.engine.run(commands.logs(there[0].name, tail=_LOG_LINES))
        return f"Last lines of {there[0].name}: {(result.out + result.err).strip()}"

    def proven(self, name: str, head: str) -> Reading:
        """Whether it is healthy and can work with the schema, asked from inside the edge.

        By its own word, or else by what its image was recorded with; where nobody says, that is said.
        """
        table = self.deployment.settings
        one = table.services[table.switch.role]
        base = f"http://{self.service(name)}:{one.port}"
        try:
            version, health = self.deployment.fetch_all([base + one.version, base + one.health])
        except Stop as stop:
            return Reading(holds=False, seen=stop.found)
        if health.status != _OK or version.version is None:
            return Reading(holds=False, seen=f"{name} health {health.status or 'no answer'}: {health.body[:120]}")
        # by its own word first; a colour that says nothing of it may have been recorded
        works = version.stated or recorded(self.deployment, table.switch.role, self.service(name))
        if works and head not in works:
            seen = f"{name} works with migration {', '.join(works)}, the database is at {head or 'none'}"
            return Reading(holds=False, seen=seen)
        unknown = f"; whether it works with migration {head or 'none'} nobody says, no recorded release either"
        return Reading(holds=True, seen=f"{name} answers as {version.version}, healthy{'' if works else unknown}")

    def prove(self, name: str, head: str) -> None:
        """Wait until it is.

        Raises:
            Refused: with what was seen last.
        """
        seconds = self.deployment.settings.timing.healthy
        try:
            wait_for(lambda: self.proven(name, head), seconds=seconds, what=f"{name} proven")
        except Stop as stop:
            raise Refused(f"{stop.found} {self._log(name)}", "mend that colour; nothing was changed") from stop

    def serves(self, name: str) -> Reading:
        """Whether users get it: file and nginx lead there, and the edge's own listener answers healthy."""
        table = self.deployment.settings
        if self.serving() != name:
            return Reading(holds=False, seen=f"the edge's file leads to {self.serving() or 'neither colour'}")
        if Edge(self.deployment).applied().get(table.switch.role) != self.service(name):
            return Reading(holds=False, seen=f"the edge's file leads to {name}, and nginx does not say so")
        answer = self.deployment.through_edge(table.services[table.switch.role].health)
        return Reading(answer.status == _OK, f"{name} through the edge: {answer.status or 'no answer'}")

    def say_farewell(self, name: str) -> str:
        """Have it end its long connections in an orderly way; why it would not, or nothing.

        A colour that is dead has none.
        """
        words = self.deployment.settings.switch.farewell
        for one in self.containers(name) if words else ():
            result = self.deployment.engine.run(commands.execute(one.id, words))
            if result.code != 0:
                said = (result.err or result.out).strip()
                return f"`{' '.join(words)}` in {one.name} ended with {result.code}: {said}"
        return ""

    def stop(self, name: str) -> None:
        """Stop it and keep it: the way back starts it again."""
        running = [one.id for one in self.containers(name)]
        if running:
            self.deployment.engine.ask(commands.stop(running, seconds=self.deployment.settings.timing.stop))


def blue_serves(deployment: Deployment) -> None:
    """Say that users are served by the Compose service of each role, which every other procedure replaces.

    Raises:
        Refused: the edge leads to another colour.
    """
    table = deployment.settings
    own = table.services[table.switch.role].service if table.switch.colours else ""
    leads = Edge(deployment).coloured().get(table.switch.role, own)
    if leads != own:
        colour = next(name for name, one in table.switch.colours.items() if one.service == own)
        raise Refused(
            f"Users are served by {leads}, and this would replace {own}, which serves nobody.",
            f"`rollback switch {colour}` first",
        )
