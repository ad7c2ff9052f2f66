"""The doorkeeper: an nginx of ours that holds the edge's ports while the deployment is shut.

Everybody gets a maintenance page; addresses on the allow-list are led to the edge, which lives in the closed network.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from rollback import commands
from rollback.engine import wait_for
from rollback.mount import bind
from rollback.outcome import Failed
from rollback.parts import files
from rollback.parts.listeners import listeners
from rollback.plan import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["LABEL", "Door"]

LABEL = "rollback.contained"
_PROJECT, _ONE_OFF = "com.docker.compose.project", "com.docker.compose.oneoff"
UNAVAILABLE = 503
ANSWER_SECONDS, START_SECONDS = 3, 15
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Closed for maintenance</title></head>
<body><h1>Closed for maintenance</h1><p>We are working on it. Please come back later.</p></body></html>
"""


@dataclass(frozen=True)
class Door:
    """The doorkeeper of one deployment.

    Attributes:
        inside: the closed network, where it finds the edge.
    """

    deployment: Deployment
    inside: str

    @property
    def name(self) -> str:
        """Of its container."""
        return f"{self.deployment.project}-doorkeeper"

    @property
    def outside(self) -> str:
        """Its own network, in which nobody else is."""
        return f"{self.deployment.project}_doorkeeper"

    @property
    def folder(self) -> Path:
        """Its configuration, page and certificates."""
        return self.deployment.state / "doorkeeper"

    def open(self, ports: list[str]) -> None:
        """Hold the ports; whoever of it is there is made anew.

        Raises:
            Failed: it does not come up, with the end of its log.
        """
        image = self.image()
        self.remove()
        tls = self._certificates()
        files.write(self.folder / "maintenance.html", _PAGE, mode=0o644)
        files.write(self.folder / "nginx.conf", self.configuration(tls=tls), mode=0o644)
        engine, labels = self.deployment.engine, {LABEL: self.deployment.project}
        labels |= {_PROJECT: self.deployment.project, _ONE_OFF: "True"}
        engine.ask(commands.network_create(self.outside, {_PROJECT: self.deployment.project}, closed=False))
        argv = commands.doorkeeper(
            image, name=self.name, labels=labels, network=self.outside, ports=ports,
            mount=bind(self.folder, "/door"), user=f"{os.getuid()}:{os.getgid()}",
        )  # fmt: skip
        engine.ask(argv)
        engine.ask(commands.network_connect(self.inside, self.name, []))
        engine.ask(commands.start([self.name]))
        wait_for(self.reading, seconds=START_SECONDS, what="the maintenance page")

    def image(self) -> str:
        """The edge's, in which nginx is; while the edge is being made anew, that of the doorkeeper itself.

        Raises:
            Failed: there is neither.
        """
        there = self.deployment.serving(self.deployment.settings.edge.service)
        if there:
            return there[0].image
        raw = json.loads(self.deployment.engine.run(commands.inspect("container", [self.name])).out or "[]")
        if not raw:
            raise Failed("The edge has no container whose image could be used.", "start it")
        return str(raw[0]["Image"])

    def _certificates(self) -> bool:
        """Those of the edge, so that a browser takes the page; False where it shows none or cannot be asked.

        It cannot where nginx does not find an upstream, as while a backend is down: then TLS has no listener.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.deployment.edge_running() is None:
            return False
        dump = self.deployment.in_edge([*self.deployment.settings.edge.test, "-T"])
        found = listeners(dump.out) if dump.code == 0 else []
        if not found:
            return False
        for source, target in ((found[0].certificate, "tls.crt"), (found[0].key, "tls.key")):
            read = self.deployment.in_edge(["cat", source])
            if read.code != 0:
                return False
            files.write(self.folder / target, read.out, mode=0o600)
        return True

    def configuration(self, *, tls: bool) -> str:
        """As nginx reads it."""
        table, edge = self.deployment.settings.containment, self.deployment.settings.edge
        allowed = "".join(f"    {one} 1;\n" for one in table.allow)
        listen = f"    listen {edge.http_port} default_server;\n"
        ways = f"    http http://{edge.service}:{edge.http_port};\n"
        if tls and edge.https_port:
            listen += f"    listen {edge.https_port} ssl default_server;\n"
            listen += "    ssl_certificate /door/tls.crt;\n    ssl_certificate_key /door/tls.key;\n"
            # an edge that sends everybody from HTTP to TLS would send whoever comes by TLS in circles
            ways += f"    https https://{edge.service}:{edge.https_port};\n"
        return _CONFIGURATION.format(allowed=allowed, listen=listen, ways=ways, retry=table.retry_after)

    def reading(self) -> Reading:
        """Whether every port that it holds answers the page, or nothing, asked from this host."""
        ports = self._ports()
        if not ports:
            return Reading(holds=False, seen="nobody holds the edge's ports")
        if not self._is_current():
            return Reading(holds=False, seen="[containment] of rollback.toml says otherwise since")
        with_page = [(one, where) for one, where in ports if one in self._listeners()]
        without = [where for one, where in ports if one not in self._listeners()]
        wrong = [told for one, where in with_page if (told := _asked(where, tls=self._listeners()[one]))]
        wrong += [f"{one} answers, and has no page" for one in without if _answers(one)]
        told = f"outside {len(with_page)} ports answer 503 and Retry-After"
        told += f", nothing answers at {', '.join(without)}" if without else ""
        return Reading(not wrong, "; ".join(wrong) or told)

    def _listeners(self) -> dict[str, bool]:
        """The ports inside at which there is the page, and whether by TLS; every other one is held for nobody."""
        edge = self.deployment.settings.edge
        return {str(edge.http_port): False} | ({str(edge.https_port): True} if self._has_pair else {})

    @property
    def _has_pair(self) -> bool:
        return (self.folder / "tls.key").is_file()

    def _is_current(self) -> bool:
        """Whether it lets in whom rollback.toml names now: somebody may have added his own address meanwhile."""
        path = self.folder / "nginx.conf"
        return path.is_file() and path.read_text(encoding="utf-8") == self.configuration(tls=self._has_pair)

    def shows_others(self, certificate: Path) -> list[str]:
        """Its TLS ports at which a handshake shows another certificate than this one, in words."""
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
        where = [one for inside, one in self._ports() if self._listeners().get(inside)]
        return [f"{one} shows another certificate" for one in where if _shown(one) != leaf]

    def address(self) -> str:
        """Where whoever is shut in reaches it, as `192.0.2.1/80`.

        Raises:
            Failed: it has no end in the closed network.
        """
        end = (self._network_settings().get("Networks") or {}).get(self.inside) or {}
        if not end.get("IPAddress"):
            raise Failed("The doorkeeper is not in the closed network.", "`rollback contain isolate` makes it anew")
        return f"{end['IPAddress']}/{self.deployment.settings.edge.http_port}"

    def _network_settings(self) -> dict[str, Any]:
        result = self.deployment.engine.run(commands.inspect("container", [self.name]))
        raw = json.loads(result.out or "[]")
        found: dict[str, Any] = raw[0]["NetworkSettings"] if raw else {}
        return found

    def _ports(self) -> list[tuple[str, str]]:
        """Port inside, and address on this host, of each that is bound."""
        bound = self._network_settings().get("Ports") or {}
        return [
            (inside.partition("/")[0], f"{_local(one['HostIp'])}:{one['HostPort']}")
            for inside, some in bound.items()
            for one in some or []
        ]

    def remove(self) -> None:
        """It goes, with its network and its copy of the key."""
        engine = self.deployment.engine
        if engine.ask(commands.containers(f"name=^/?{self.name}$")).split():
            engine.ask(commands.remove([self.name]))
        if engine.ask(commands.networks(f"name=^{self.outside}$")).split():
            engine.ask(commands.network_remove(self.outside))
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            raise Failed(f"{self.folder} cannot be removed; it holds a copy of the edge's key.", "remove it")


def _local(address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(address, address)  # noqa: S104 -- compared, not bound


def _shown(where: str) -> bytes:
    """The certificate that is shown there, DER; empty where there is none."""
    host, _, port = where.rpartition(":")
    try:
        pem = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS)
    except OSError:  # nobody shows one there, which is not the wanted one either
        return b""
    return ssl.PEM_cert_to_DER_cert(pem)


def _answers(where: str) -> bool:
    """Whether anybody says anything there: the engine takes connections to every port that it holds, and ends them."""
    host, _, port = where.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS) as one:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(one.recv(1))
    except OSError:
        return False


def _asked(where: str, *, tls: bool) -> str:
    """Why the answer there is not the page; empty if it is."""
    # what is shown is of interest, not who shows it: the certificate may be for any name
    context = ssl._create_unverified_context() if tls else None  # noqa: S323, SLF001
    connection = (
        http.client.HTTPSConnection(where, timeout=ANSWER_SECONDS, context=context)
        if context
        else http.client.HTTPConnection(where, timeout=ANSWER_SECONDS)
    )
    try:
        connection.request("GET", "/api/health", headers={"Connection": "close"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return f"{where} does not answer: {error}"
    finally:
        connection.close()
    page = answer.status == UNAVAILABLE and answer.headers.get("Retry-After")
    return "" if page else f"{where} answers {answer.status}"


_CONFIGURATION = """# Written by rollback: the deployment is shut.
user root;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
events {{ worker_connections 512; }}
http {{
  access_log /dev/stdout;
  server_tokens off;
  client_max_body_size 50m;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  resolver 127.0.0.11 ipv6=off valid=5s;
  geo $operator {{
    default 0;
{allowed}  }}
  map $scheme $edge {{
{ways}  }}
  server {{
{listen}    error_page 503 @closed;
    location / {{
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_ssl_server_name on;
      proxy_ssl_name $host;
      if ($operator = 0) {{ return 503; }}
      proxy_pass $edge;
    }}
    location @closed {{
      root /door;
      add_header Retry-After {retry} always;
      add_header Cache-Control no-store always;
      try_files /maintenance.html =503;
    }}
  }}
}}
"""
