"""What users can do after a recovery, found out by doing it: an account of this one check, asked through the edge."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.database import server
from rollback.outcome import Failed
from rollback.plan import Reading

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.recovery.table import UserTable

__all__ = ["Visitor", "config"]

_PLACE = re.compile(r"\{([A-Za-z_]+)\}")
_LIMIT_SECONDS = 20


def config(url: str, method: str, headers: dict[str, str], body: str | None) -> str:
    """One request in curl's own file format, which goes in through standard input: no secret stands in an argv."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = [f"url = {quoted(url)}", f"request = {quoted(method)}", "silent", "show-error"]
    lines += [f"max-time = {_LIMIT_SECONDS}", 'write-out = "\\n%{http_code}"']
    lines += [f"header = {quoted(f'{name}: {value}')}" for name, value in headers.items()]
    if body is not None:
        lines += ['header = "Content-Type: application/json"', f"data-raw = {quoted(body)}"]
    return "\n".join(lines) + "\n"


@dataclass
class Visitor:
    """A user of one check; what answers say is kept for what is asked next.

    Attributes:
        run: whose check it is. The address of its account follows from it, so that whoever goes on after a kill takes
            the account of the killed check away; where nothing does that, every check has an address of its own.
    """

    deployment: Deployment
    run: str
    known: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        own = self.run if self.deployment.settings.recovery.tidy else secrets.token_hex(6)
        self.known |= {
            "email": f"recovery-{own}@rollback.invalid",
            "password": secrets.token_urlsafe(18),
            "name": "Recovery check",
        }

    def work(self) -> Reading:
        """Everything in [[recovery.users]], in order; ends with the first that is not as it should be."""
        steps = self.deployment.settings.recovery.users
        if not steps:
            return Reading(holds=False, seen="rollback.toml says nothing of what users do: [[recovery.users]]")
        for one in steps:
            why = self._trouble(one)
            if why:
                return Reading(holds=False, seen=f"{one.name}: {why}")
        return Reading(holds=True, seen=", ".join(one.name for one in steps))

    def tidy(self) -> None:
        """Take the account away again, whatever became of the check."""
        statement = self.deployment.settings.recovery.tidy
        if statement:
            with server.session_of(self.deployment) as session:
                session.execute(statement.encode(), {"email": self.known["email"]})

    def _trouble(self, one: UserTable) -> str:
        status, text = self._asked(one)
        if status != one.status:
            return f"answered {status or 'nothing'} instead of {one.status}: {text[:200]}"
        try:
            answer: Any = json.loads(text) if one.keep or one.says else {}
            self.known |= {name: str(answer[key]) for name, key in one.keep.items()}
            wrong = [key for key, value in one.says.items() if str(answer[key]) != self._filled(value)]
        except (ValueError, KeyError, TypeError):
            return f"its answer does not hold {', '.join([*one.keep.values(), *one.says])}"
        return f"{', '.join(wrong)} is not what was written" if wrong else ""

    def _asked(self, one: UserTable) -> tuple[int, str]:
        url = self.deployment.edge_url(self._filled(one.path))
        headers = {name: self._filled(value) for name, value in one.headers.items()}
        body = json.dumps({key: self._filled(value) for key, value in one.body.items()}) if one.body else None
        edge = self.deployment.edge_running()
        if edge is None:
            return 0, "the edge does not run"
        argv = commands.execute(edge, ["curl", "--config", "-"], stdin=True)
        said = self.deployment.engine.run(
            argv, stdin=config(url, one.method, headers, body), seconds=_LIMIT_SECONDS + 10
        )
        text, _, status = said.out.rpartition("\n")
        return (int(status) if status.isdigit() else 0), text or said.err.strip()

    def _filled(self, text: str) -> str:
        def value(place: re.Match[str]) -> str:
            if place[1] not in self.known:
                raise Failed(f"[[recovery.users]] speaks of {place[0]}, which nothing has kept.", "mend rollback.toml")
            return self.known[place[1]]

        return _PLACE.sub(value, text)
