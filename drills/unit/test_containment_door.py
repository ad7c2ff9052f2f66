"""The doorkeeper: a port that it holds without a page is shut when nothing answers there."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment.door import Door, _answers
from rollback.engine import Result
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def door(tmp_path: Path, *, edge: str | None = "c1", dump: Result | None = None) -> Door:
    """That of an edge which is this container, and says this when it is asked for its configuration."""

    def in_edge(*_: Any) -> Result:
        if edge is None:
            raise Refused("The edge service `edge` is not running.")
        return dump or Result(1, "", 'host not found in upstream "backend:5001"')

    table = SimpleNamespace(service="edge", http_port=80, https_port=443, test=["nginx", "-t"])
    settings = SimpleNamespace(edge=table, containment=SimpleNamespace(allow=[], retry_after=9))
    there: Any = SimpleNamespace(
        state=tmp_path, project="p", settings=settings, in_edge=in_edge, edge_running=lambda: edge
    )
    found = Door(there, "p_contained")
    found.folder.mkdir()
    return found


@contextmanager
def taking(with_it: Callable[[socket.socket], object]) -> Iterator[str]:
    """A port that takes one connection, does something with it, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as one:

        def take() -> None:
            with one.accept()[0] as connection:
                with_it(connection)

        threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{one.getsockname()[1]}"


def test_whoever_says_a_word_answers() -> None:
    """The engine takes connections to a port that it holds for nobody, and ends them: that is no answer."""
    with taking(lambda one: one.sendall(b"SSH-2.0")) as where:
        assert _answers(where)
    with taking(lambda one: one.recv(1)) as where:
        assert not _answers(where)
    assert not _answers(where)


@pytest.mark.parametrize("edge", ["c1", None], ids=["an upstream is dead", "it is dead itself"])
def test_an_edge_that_cannot_be_asked_shows_no_certificate(tmp_path: Path, edge: str | None) -> None:
    """Its ports are held all the same."""
    assert not Door._certificates(door(tmp_path, edge=edge))  # noqa: SLF001 -- the rule itself


HELD = [("80", "a:1"), ("443", "a:2"), ("8080", "a:3")]


@pytest.mark.parametrize(
    ("tls", "answering", "seen"),
    [
        (True, (), "outside 2 ports answer 503 and Retry-After, nothing answers at a:3"),
        (False, (), "outside 1 ports answer 503 and Retry-After, nothing answers at a:2, a:3"),
        (True, ("a:3",), "a:3 answers, and has no page"),
        (False, ("a:2", "a:3"), "a:2 answers, and has no page; a:3 answers, and has no page"),
    ],
    ids=["a third port", "no certificate", "a third port is open", "both are open"],
)
def test_a_port_without_a_page_has_to_be_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool, answering: tuple[str, ...], seen: str
) -> None:
    """Where there is a page it is asked for, by TLS where there is a certificate; elsewhere nobody may answer."""
    one, asked = door(tmp_path), {}
    monkeypatch.setattr(Door, "_ports", lambda _: HELD)
    monkeypatch.setattr("rollback.containment.door._asked", lambda where, *, tls: asked.update({where: tls}) or "")
    monkeypatch.setattr("rollback.containment.door._answers", lambda where: where in answering)
    if tls:
        (one.folder / "tls.key").touch()
    (one.folder / "nginx.conf").write_text(one.configuration(tls=tls))
    found = one.reading()
    assert (found.seen, found.holds) == (seen, not answering)
    assert asked == {"a:1": False} | ({"a:2": True} if tls else {})


def test_no_certificate_is_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is shown nobody sees the key of before; where something is, it is looked at."""
    one = door(tmp_path)
    monkeypatch.setattr(Door, "_ports", lambda _: HELD)
    monkeypatch.setattr("rollback.containment.door._shown", lambda _: b"old")
    monkeypatch.setattr("rollback.containment.door.x509.load_pem_x509_certificate", lambda _: SimpleNamespace(
        public_bytes=lambda _: b"new"))  # fmt: skip
    certificate = tmp_path / "new.pem"
    certificate.touch()
    assert one.shows_others(certificate) == []
    (one.folder / "tls.key").touch()
    assert one.shows_others(certificate) == ["a:2 shows another certificate"]
