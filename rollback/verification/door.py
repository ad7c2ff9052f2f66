"""Where users come in: the edge's port on this host, asked as a user's program asks it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.outcome import Failed
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollback.deployment import Deployment

__all__ = ["Door", "Reply", "door"]

AGENT = "rollback-verify"
_SECONDS = 15.0
_MOVED = range(300, 400)


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def text(self, name: str) -> str:
        """A text of the JSON object in the body; empty if it has none of that name."""
        try:
            value = json.loads(self.body)[name]
        except (ValueError, KeyError, TypeError):
            return ""
        return value if isinstance(value, str) else ""

    def told(self) -> str:
        """Status and the beginning of the body, on one line."""
        return f"{self.status}: {' '.join(self.body[:300].decode(errors='replace').split())[:150]}"


@dataclass(frozen=True)
class Door:
    """One published port of the edge.

    Attributes:
        name: which host is asked for: what users type.
        tls: whether it speaks TLS. The certificate is not judged here, another line of the checklist does that.
    """

    host: str
    port: int
    name: str
    tls: bool

    @property
    def url(self) -> str:
        """As a browser is told; where it leads by name, `rules` say to which address."""
        if self.tls:
            return f"https://{self.name}/"
        return f"http://{self.host}:{self.port}/"

    @property
    def rules(self) -> str:
        """For a browser: by which address the name is reached."""
        return f"MAP {self.name}:443 {self.host}:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Ask once, on a connection of its own.

        Raises:
            Failed: nobody answers.
        """
        connection = http.client.HTTPConnection(self.name if self.tls else self.host, self.port, timeout=_SECONDS)
        sent = {"User-Agent": AGENT, "Connection": "close", **({"Host": self.name} if self.tls else {})}
        try:
            connection.sock = self._socket()
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()})
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path} at {self.host}:{self.port}: {error or type(error).__name__}.") from error
        finally:
            connection.close()

    def _socket(self) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout=_SECONDS)
        if not self.tls:
            return plain
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=self.name)

    def send(self, method: str, path: str, value: Any = None, token: str = "") -> Reply:
        """Ask the API: JSON in the body, the access token in its header."""
        body = b"" if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"} if body else {}
        return self.ask(method, path, body, {**headers, **_bearer(token)})

    def upload(self, path: str, name: str, content: bytes, token: str) -> Reply:
        """Send a file as a form of a page does."""
        mark = b"rollback-verify-9f2c71"
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        body = b"--%s\r\n%s%s\r\n--%s--\r\n" % (mark, head.encode(), content, mark)
        kind = {"Content-Type": f"multipart/form-data; boundary={mark.decode()}"}
        return self.ask("POST", path, body, {**kind, **_bearer(token)})


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def door(deployment: Deployment) -> Door:
    """Where users come in; where HTTP only sends them on to HTTPS, that.

    Raises:
        NotTested: the edge publishes no port on this host.
        Failed: nobody answers there.
    """
    table = deployment.settings.edge
    ports = {port: where for one in deployment.serving(table.service) for port, where in one.ports.items()}
    plain, closed = ports.get(f"{table.http_port}/tcp"), ports.get(f"{table.https_port}/tcp")
    named = deployment.settings.certificates.names
    if plain:
        found = _at(plain, "", tls=False)
        if not closed or found.ask("GET", "/").status not in _MOVED:
            return found
    if closed:
        return _at(closed, named[0] if named else "localhost", tls=True)
    raise NotTested(f"`{table.service}` publishes no port on this host", "run it where users' requests come in")


def _at(where: str, name: str, *, tls: bool) -> Door:
    host, _, port = where.rpartition(":")
    return Door(host, int(port), name, tls)
