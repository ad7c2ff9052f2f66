"""Users and probes against an edge that is up, and says little: nothing may count as good."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fixtures.account import Account, Question
from fixtures.client import Answer, Connections, Page, ask, asset_fault, trusting
from fixtures.history import History, Recorder
from fixtures.probes import Probes
from fixtures.session import Session
from fixtures.traffic import Users
from fixtures.visitor import BadSampleError, Visitor

PAGE = b'<html><meta name="release" content="v4.0.0"><script src="/assets/app.1.js"></script></html>'


class Edge:
    """A server that gives the same bytes to everyone and then closes; None: it never answers."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if not (asked := connection.recv(65536)) or asked == b"stop":
                connection.close()
                if asked == b"stop":
                    return
            elif self.answer is None:
                self._open.append(connection)
            else:
                connection.sendall(self.answer)
                connection.close()

    def close(self) -> None:
        """Stop listening."""
        with socket.create_connection(self._socket.getsockname()) as last:
            last.sendall(b"stop")
        self._thread.join()
        for connection in [*self._open, self._socket]:
            connection.close()


@pytest.fixture
def edge() -> Iterator[Callable[[bytes | None], Edge]]:
    """Edges that are closed at the end."""
    opened: list[Edge] = []

    def make(answer: bytes | None) -> Edge:
        opened.append(Edge(answer))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def _http(body: bytes, status: str = "200 OK", kind: str = "text/html", extra: str = "") -> bytes:
    """Build an answer as it goes over the wire."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: {kind}\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _watched(url: str, until: Callable[[History], bool]) -> History:
    """Record what users and probes see of an edge until it is enough."""
    recorder = Recorder()
    parts: list[Users | Probes] = [
        Users(url, url, None, 7, count=2, pace=0.01, recorder=recorder),
        Probes(url, recorder=recorder),
    ]
    for part in parts:
        part.start()
    deadline = time.monotonic() + 30
    while not until(recorder.history()) and time.monotonic() < deadline:
        time.sleep(0.02)
    for part in parts:
        part.stop()
    return recorder.history()


def _enough(history: History) -> bool:
    """Every path was sampled, and users asked."""
    return len(history.paths()) == 4 and len(history.requests) > 3 and len(history.samples) > 10


@pytest.mark.parametrize(
    "answer",
    [
        _http(b"", "502 Bad Gateway"),
        _http(b"<html>hello</html>"),
        _http(b"{}", kind="application/json", extra="X-Release: v4.0.0\r\n"),
        _http(b"no json", kind="application/json", extra="X-Release: v4.0.0\r\n"),
        _http(PAGE),
    ],
    ids=["bad gateway", "a page of nobody", "empty JSON", "no JSON", "the page for everything"],
)
def test_no_answer_without_substance_is_good(edge: Callable[[bytes | None], Edge], answer: bytes) -> None:
    """No answer without substance is good."""
    history = _watched(edge(answer).url, _enough)
    assert _enough(history)
    assert not [sample for sample in history.samples if sample.ok]
    assert all(sample.reason for sample in history.samples)
    assert not [write for write in history.writes if write.outcome == "acknowledged"]
    assert not [request for request in history.requests if request.ok and request.route != "/"]


def test_nobody_there_is_a_record_and_no_error() -> None:
    """Nobody there is a record and no error."""
    # bound all the time and never listening: a port that was given back may be somebody else's in a moment
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        history = _watched(f"http://127.0.0.1:{silent.getsockname()[1]}", _enough)
    assert {sample.ok for sample in history.samples} == {False}
    assert {request.status for request in history.requests} == {None}
    assert "ConnectError" in history.requests[0].reason
    assert {write.outcome for write in history.writes} == {"unknown"}


def test_an_edge_that_never_answers_ends_at_the_limit(edge: Callable[[bytes | None], Edge]) -> None:
    """An edge that never answers ends at the limit."""

    async def asked(url: str) -> Answer:
        async with Connections(trusting(None)) as connections:
            return await ask(connections.fresh, "GET", url, 0.1)

    answer = asyncio.run(asked(edge(None).url))
    assert answer.status is None
    assert answer.reason(200) == "no answer within 0.1 s"
    assert answer.done - answer.sent >= 0.1


def test_a_page_names_its_release_and_each_asset_once() -> None:
    """A page names its release and each asset once."""
    page = Page.of(PAGE + b'<link href="/assets/style.2.css"><img src="/assets/app.1.js"><a href="/else">')
    assert page == Page("v4.0.0", ("/assets/app.1.js", "/assets/style.2.css"))
    assert page.fault() == ""


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'<meta name="release" content="v1">', b'<script src="/assets/a.js">']
)
def test_a_page_without_release_or_assets_is_at_fault(content: bytes) -> None:
    """A page without release or assets is at fault."""
    assert Page.of(content).fault()


@pytest.mark.parametrize(
    ("url", "kind", "content", "good"),
    [
        ("/assets/a.js", "application/javascript", b"x", True),
        ("/assets/a.js", "text/javascript; charset=utf-8", b"x", True),
        ("/assets/a.css", "text/css", b"x", True),
        ("/assets/a.js", "text/html", b"<html>", False),
        ("/assets/a.css", "", b"x", False),
        ("/assets/a.js", "text/javascript", b"", False),
    ],
)
def test_an_asset_is_what_its_name_says(url: str, kind: str, content: bytes, good: bool) -> None:  # noqa: FBT001
    """An asset is what its name says."""
    assert (asset_fault(url, Answer(0, 0, 200, content, kind)) == "") is good


def test_who_is_turned_away_with_a_good_token_is_in_the_record(edge: Callable[[bytes | None], Edge]) -> None:
    """Users and probes whose good token is refused sign in again, and the loss of the session stays in the record."""
    refusal, recorder = edge(_http(b'{"error":"no"}', "401 Unauthorized", "application/json")), Recorder()

    async def turned_away() -> None:
        async with Connections(trusting(None)) as connections:
            account = Account("user", refusal.url, connections, recorder, 0, asyncio.Event())
            account.session = Session("user", "a", "r", 1.0, float("inf"))
            await account.api(Question("fresh", "read", "GET", "/api/projects"))
            account.session = Session("renewing", "a", "r", 1.0, float("inf"))
            await account.renew()
            visitor = Visitor(refusal.url, connections, recorder)
            visitor._session = Session("probe", "a", "r", 1.0, float("inf"))  # noqa: SLF001 -- signed in without a service
            with contextlib.suppress(BadSampleError):
                await visitor.api(time.monotonic() + 5, "GET", "/api/projects")

    asyncio.run(turned_away())
    assert [(one.who, one.end) for one in recorder.history().sign_ins] == [
        (who, "refused") for who in ("user", "renewing", "probe")
    ]


@pytest.mark.parametrize(
    ("status", "kept"), [("405 Not Allowed", True), ("404 Not Found", True), ("500 Oops", False), ("401 No", False)]
)
def test_a_session_that_was_not_traded_is_kept(
    edge: Callable[[bytes | None], Edge],
    status: str,
    kept: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    """Refused for another reason than its token, nothing was traded; where nobody knows, the user gives it up."""
    somewhere, recorder = edge(_http(b"<html>no</html>", status)), Recorder()

    async def renewed() -> Session | None:
        async with Connections(trusting(None)) as connections:
            account = Account("user", somewhere.url, connections, recorder, 0, asyncio.Event())
            account.session = Session("user", "a", "r", 1.0, float("inf"))
            await account.renew()
            return account.session

    assert (asyncio.run(renewed()) is not None) is kept
