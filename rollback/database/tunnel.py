"""A way from here to a PostgreSQL in a container that publishes no port.

A private unix socket on this host; each connection to it is piped to the server's 127.0.0.1 from a companion: a
container of the same image that shares the server's network and nothing else. Nothing is published and no address is
needed. Nothing is executed in the server's own container either: where PostgreSQL is process 1 it inherits orphans,
and an orphan that dies by a signal is to it a crashed backend, for which it restarts all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import commands
from rollback.database import disposable
from rollback.engine import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.engine import Engine

__all__ = ["PORT", "opened"]

PORT = 5432
_BACKLOG = 32
_END_SECONDS = 5

#: Whichever side ends first, the other is ended: a server that closes is noticed, and so is a client that was killed.
_PIPE = (
    f"exec 3<>/dev/tcp/127.0.0.1/{PORT} || exit 1; cat <&3 & r=$!; cat <&0 >&3 & w=$!;"
    " wait -n; kill $r $w 2>/dev/null; wait"
)

#: Who may do nothing but open a connection.
_NOBODY = "65534:65534"


@contextmanager
def opened(engine: Engine, server: str, image: str) -> Iterator[Path]:
    """A folder with the socket, as libpq takes it for a host; the tunnel and its connections end with the block.

    Args:
        engine: the door to docker.
        server: ID of the server's container.
        image: ID of its image.
    """
    disposable.sweep(engine)
    name = disposable.name("tunnel")
    label, hidden = disposable.label(), disposable.volumes(engine, image)
    argv = commands.companion(image, container=server, name=name, label=label, user=_NOBODY, hidden=hidden)
    with disposable.started(engine, name, argv) as companion, _listening(companion) as folder:
        yield folder


@contextmanager
def _listening(companion: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rollback-pg-") as folder:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(Path(folder) / f".s.PGSQL.{PORT}"))
        listener.listen(_BACKLOG)
        ends: list[subprocess.Popen[bytes]] = []
        thread = threading.Thread(target=_serve, args=(listener, companion, ends), name="tunnel", daemon=True)
        thread.start()
        try:
            yield Path(folder)
        finally:
            # a close alone does not wake the accept
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(_END_SECONDS)
            _end(ends)


def _serve(listener: socket.socket, companion: str, ends: list[subprocess.Popen[bytes]]) -> None:
    argv = commands.execute(companion, ["bash", "-c", _PIPE], stdin=True)
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # the block has ended
            return
        with client:
            ends[:] = [one for one in ends if one.poll() is None]
            seen = environment(os.environ)
            both = client.fileno()
            ends.append(subprocess.Popen(argv, stdin=both, stdout=both, stderr=subprocess.DEVNULL, env=seen))


def _end(ends: list[subprocess.Popen[bytes]]) -> None:
    """Connections whose client has closed end by themselves; what does not is ended."""
    for one in ends:
        try:
            one.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
