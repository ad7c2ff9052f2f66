"""What a reload of the edge does to who is connected: how long a real nginx lets go on what is under way."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from fixtures import runs
from rollback.deployment import Deployment
from rollback.parts.edge import Edge, Route, upstreams

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.configuration]

REFERENCE = Path(__file__).parent.parent.parent / "fixtures/spheroseg"
#: As in the reference, with one thing of every kind: an answer that takes fifteen seconds, and one that takes none.
CONFIGURATION = """worker_processes 1;
worker_shutdown_timeout %s;
events {}
http {
    access_log off;
    keepalive_timeout 65s;
    include /etc/nginx/spheroseg/upstream.conf;
    server {
        listen 80 default_server;
        root /etc/nginx/spheroseg;
        if (-f /etc/nginx/spheroseg/closing.on) { return 418; }
        error_page 418 = @closing;
        location @closing { keepalive_timeout 0; try_files $uri =404; }
        location = /short.txt { }
        location = /long.bin { limit_rate 20k; }
    }
}
"""
LONG = 300_000
REQUEST = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def nginx(folder: Path, limit: str) -> Iterator[Any]:
    """The reference's image with this configuration; ends what is left after `limit`."""
    (folder / "nginx").mkdir()
    (folder / "nginx/nginx.conf").write_text(CONFIGURATION % limit, encoding="utf-8")
    (folder / "nginx/short.txt").write_text("short\n", encoding="utf-8")
    (folder / "nginx/long.bin").write_bytes(b"x" * LONG)
    (folder / "nginx/upstream.conf").write_text(content("g1"), encoding="utf-8")
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8")
    (folder / "rollback.toml").write_text(text, encoding="utf-8")
    ports: Any = {"80/tcp": ("127.0.0.1", None)}
    with closing(docker.from_env()) as client:
        one = client.containers.run(
            "spheroseg-drill/nginx:1",
            ["nginx", "-c", "/etc/nginx/spheroseg/nginx.conf", "-g", "daemon off;"],
            detach=True,
            labels={runs.LABEL: runs.own()},
            volumes={str(folder / "nginx"): {"bind": "/etc/nginx/spheroseg", "mode": "ro"}},
            ports=ports,
        )
        try:
            up = [
                "curl",
                "-s",
                "--retry",
                "50",
                "--retry-connrefused",
                "--retry-delay",
                "1",
                "http://127.0.0.1/short.txt",
            ]
            assert one.exec_run(up).exit_code == 0
            one.reload()
            yield one
        finally:
            one.remove(force=True, v=True)


def content(generation: str) -> str:
    """An upstream file."""
    return upstreams([Route("backend", "127.0.0.1:80")], generation, 80)


def connected(container: Any, path: bytes) -> socket.socket:
    """Somebody who has sent his request."""
    port = int(container.ports["80/tcp"][0]["HostPort"])
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    line.sendall(REQUEST % path)
    return line


def rest(line: socket.socket) -> bytes:
    """What comes until the other side ends the connection; one that was cut says so in the end."""
    found = b""
    try:
        while part := line.recv(65536):
            found += part
    except ConnectionResetError:
        return found + b"(cut)"
    return found


def switched(folder: Path, container: Any, monkeypatch: pytest.MonkeyPatch) -> Edge:
    """Our own reload, with all that it does for who is connected."""
    monkeypatch.setattr(Deployment, "edge_running", lambda _: container.id)
    deployment = Deployment.load(folder)
    deployment._edge["id"] = container.id  # noqa: SLF001 -- found by its labels otherwise
    edge = Edge(deployment)
    edge.switch("g2", content("g2"))
    return edge


def test_what_is_under_way_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long answer comes to its end, a kept connection is closed and not cut, and then the old worker is gone."""
    with nginx(tmp_path, "30s") as container:
        with connected(container, b"short.txt") as kept, connected(container, b"long.bin") as long:
            assert b"short" in kept.recv(65536)
            whole: list[bytes] = []
            reader = threading.Thread(target=lambda: whole.append(rest(long)))
            reader.start()
            edge = switched(tmp_path, container, monkeypatch)
            assert reader.is_alive()
            assert not edge.draining().holds
            assert rest(kept) == b""
            edge.drain()
            reader.join(30)
        assert whole[0].count(b"x") >= LONG
        assert edge.draining().holds


def test_what_outlasts_the_limit_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of nginx's own `worker_shutdown_timeout`: the promise ends there, and the help says so."""
    with nginx(tmp_path, "1s") as container, connected(container, b"long.bin") as long:
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append(rest(long)))
        reader.start()
        edge = switched(tmp_path, container, monkeypatch)
        edge.drain()
        reader.join(20)
        assert found
        assert found[0].count(b"x") < LONG
