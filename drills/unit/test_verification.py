"""The checklist without a deployment: what its lines make of what they see."""

from __future__ import annotations

import re
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rollback import look, settings
from rollback.deployment import Answer, Container, Deployment
from rollback.engine import Engine, Result
from rollback.journal import Entry
from rollback.outcome import Exit, Failed, Refused
from rollback.verification import drift, logs, picture
from rollback.verification.account import account
from rollback.verification.devtools import installed
from rollback.verification.door import door
from rollback.verification.expected import GROUPS, expected, last_end
from rollback.verification.line import Line, NotTested, ended, read
from rollback.verification.logs import error_lines
from rollback.verification.page import assets, frontend, within_style
from rollback.verification.rows import implausible
from rollback.verification.targets import judged
from rollback.verification.traces import Belongings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"

GOOD, BAD = Line("a", ok=True, seen=""), Line("b", ok=False, seen="")
UNTESTED = Line("c", ok=False, seen="", tested=False)


@pytest.mark.parametrize(
    ("lines", "end"),
    [([], 0), ([GOOD], 0), ([GOOD, UNTESTED], 51), ([UNTESTED, BAD], 50), ([BAD, GOOD], 50)],
    ids=["empty", "good", "not tested", "bad and not tested", "bad"],
)
def test_a_checklist_is_as_red_as_its_worst_line(lines: list[Line], end: int) -> None:
    """What is wrong outranks what was not tested, and that is no success either."""
    assert ended(lines) is Exit(end)
    assert [line.word for line in (GOOD, BAD, UNTESTED)] == ["ok", "no", "not tested"]


def test_the_lines_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one of them asked, another does not ask again; what was asked long ago is, and so is it the next time."""
    asked = []

    def ask() -> str:
        asked.append("containers")
        return "two"

    def check() -> tuple[bool, str]:
        return True, look.answer("containers", ask)

    read([("a", check), ("b", check)])
    assert len(asked) == 1
    read([("a", check)])
    assert len(asked) == 2
    monkeypatch.setattr(look, "LONGEST_SECONDS", 0)
    read([("a", check), ("b", check)])
    assert len(asked) == 4


@dataclass(frozen=True)
class Away(Deployment):
    """A deployment of which no container is there."""

    def containers(self) -> list[Container]:
        """None."""
        return []

    def config(self, _: object) -> dict[str, Any]:
        """One service."""
        return {"services": {"backend": {"image": "b:1"}}}

    def hashes(self, _: object) -> dict[str, str]:
        """Its hash."""
        return {"backend": "x"}

    def image_ids(self, names: Any) -> dict[str, str | None]:
        """All are there."""
        return dict.fromkeys(names, "sha256:1")


def test_what_has_no_container_is_not_as_recorded() -> None:
    """Nothing that differs is not the same as nothing that is there."""
    away = Away(REFERENCE, settings.load(REFERENCE), Engine(REFERENCE))
    release: Any = SimpleNamespace(version="v1", images={"backend": SimpleNamespace(service="backend", id="sha256:1")})
    assert drift.images(away, release) == (False, "backend has no container")
    assert drift.containers(away) == (False, "backend has no container")


def stopping(error: Exception) -> Callable[[], tuple[bool, str]]:
    """A check that ends like this."""

    def check() -> tuple[bool, str]:
        raise error

    return check


def test_no_line_stops_the_others() -> None:
    """Whatever a line meets it is one line, told before it is read; only what lacks something is not tested."""
    told: list[str] = []
    ends = [Refused("No.", "x"), NotTested("nobody", "ask"), psycopg.OperationalError("gone\nat"), OSError(13, "shut")]
    lines = read([(str(number), stopping(one)) for number, one in enumerate(ends)], told.append)
    assert told == ["0", "1", "2", "3"]
    assert [(one.word, one.seen) for one in lines] == [
        ("no", "No."),
        ("not tested", "nobody Next: ask"),
        ("no", "the database: gone"),
        ("no", "the host: shut"),
    ]


PAGE = """<!doctype html><html><head><link rel="stylesheet" href="/assets/style.1.css"><meta content="/no">
<link rel=preconnect href="https://cdn.example.org"><link href="//cdn.example.org/x.css"><link rel=canonical href="/no">
<script>var a = "/no.js"</script><link rel="icon" href="data:,"><link rel=modulepreload href=./late.2.js>
<script type=module src=/assets/app.2.js></script></head><body><img src="/logo%20ü.png"/><img src="data:x">
<a href="/no"><source srcset="/small.png 1x, big.png 2x"><video poster=/v.jpg>
<!-- <img src="/no.png"> --><img src><SCRIPT SRC='/late.js'></SCRIPT></body></html>"""


def test_the_assets_of_a_page_are_those_it_asks_its_host_for() -> None:
    """Whatever is loaded from this host, however written; no link, no comment, no other host."""
    assert assets(PAGE) == [
        "/assets/style.1.css", "/late.2.js", "/assets/app.2.js", "/logo%20ü.png", "/small.png", "/big.png", "/v.jpg",
        "/late.js",
    ]  # fmt: skip
    assert assets("bad gateway") == []


def test_a_style_sheet_asks_for_more() -> None:
    """Pictures, fonts and other sheets, relative to the sheet; not what it holds itself or says in a comment."""
    style = (
        "@import 'base.css'; a{background:url(../a.png)} b{src: url( \"/f.woff2#x\" )} /* url(no) */ c{d:url(data:x)}"
    )
    assert sorted(within_style(style, "/assets/s.css")) == ["/a.png", "/assets/base.css", "/f.woff2"]


@dataclass(frozen=True)
class Pages(Deployment):
    """A deployment that answers from a table."""

    pages: dict[str, Answer] = field(default_factory=dict)

    def fetch_all(self, urls: list[str], *headers: str) -> list[Answer]:
        """The answers, 404 for what is not there."""
        assert not headers
        return [self.pages.get(url.removeprefix("http://127.0.0.1:80"), Answer(404, "")) for url in urls]


TWO = '<script src="/a.js"></script><link href="/b.css">'


@pytest.mark.parametrize(
    ("pages", "ok", "seen"),
    [
        ({"/": TWO, "/a.js": "x", "/b.css": "y"}, True, "the page and all 2 assets it names"),
        ({"/": TWO, "/a.js": "x", "/b.css": "y{z:url(c.png)}", "/c.png": "p"}, True,
         "the page and all 3 assets it names"),
        ({"/": TWO, "/a.js": "x"}, False, "missing: /b.css"),
        ({"/": TWO, "/a.js": "x", "/b.css": "y{z:url(c.png)}"}, False, "missing: /c.png"),
        ({"/": TWO, "/a.js": "", "/b.css": "y"}, False, "missing: /a.js (empty)"),
        ({"/": TWO, "/a.js": "<!DOCTYPE html><p>", "/b.css": "y"}, False, "missing: /a.js (a page came in its place)"),
        ({"/": "<h1>welcome to nginx"}, False, "the page names no asset at all"),
        ({}, False, "the page answered 404: "),
    ],
    ids=["whole", "with what the sheet names", "one missing", "of the sheet missing", "empty", "a page in its place",
         "another page", "no page"],
)  # fmt: skip
def test_a_frontend_is_well_with_every_asset_of_its_page(pages: dict[str, str], seen: str, *, ok: bool) -> None:
    """A 200 is no proof: the page has to name assets, and all of them have to be there and be assets."""
    answers = {path: Answer(200, body) for path, body in pages.items()}
    assert frontend(Pages(REFERENCE, settings.load(REFERENCE), Engine(REFERENCE), pages=answers)) == (ok, seen)


@pytest.mark.parametrize(
    "line",
    ['{"level": "ERROR", "message": "no"}', "2026-01-01 ERROR no", "FATAL:  no", "CRITICAL no", "[PANIC] no",
     "Traceback (most recent call last):", '{"level":"ERROR","message":"ERROR again: Traceback"}'],
)  # fmt: skip
def test_a_line_that_reports_an_error_counts_once(line: str) -> None:
    """Each line of trouble is one, among others and without a last line end."""
    assert error_lines(f"fine\n{line}\nfine\n{line}") == 2


@pytest.mark.parametrize(
    "line",
    ['{"level": "INFO", "logger": "uvicorn.error", "message": "Started"}', "0 errors", "MAX_ERRORS=5", "ERRORS",
     '{"level": "WARNING", "message": "x"}', ""],
)  # fmt: skip
def test_a_line_that_only_has_the_word_in_a_name_does_not_count(line: str) -> None:
    """The ordinary logger of uvicorn is called uvicorn.error: its INFO lines are no errors."""
    assert error_lines(f"{line}\n") == 0


def test_errors_of_long_ago_do_not_count() -> None:
    """Of a rollback in the night its last ten minutes are looked at in the morning; of a fresh one all of it."""
    now = datetime.now(UTC)
    assert logs.within(now - timedelta(minutes=3)) == now - timedelta(minutes=3)
    assert now - logs.within(now - timedelta(hours=9)) <= timedelta(minutes=10)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"t": 100}, {"t": 100, "new": 0}, []),
        ({"t": 100}, {"t": 5000}, []),
        ({"t": 100}, {"t": 80}, []),
        ({"t": 100}, {"t": 79}, ["t has 79 rows, it had 100"]),
        ({"t": 20}, {"t": 11}, []),
        ({"t": 3}, {"t": 0}, ["t is empty, it had 3 rows"]),
        ({"t": 0}, {"t": 0}, []),
        ({"t": 0}, {}, ["t is not there, it had 0 rows"]),
    ],
    ids=["same", "more", "at the limit", "beyond it", "few", "empty", "always empty", "gone"],
)
def test_rows_are_plausible_or_not(before: dict[str, int], now: dict[str, int], told: list[str]) -> None:
    """A table that is gone, empty or has lost a good part is none that anybody would believe."""
    assert implausible(before, now, 20) == told


def decoded(png: bytes) -> list[bytes]:
    """The rows of a grey PNG, read by what the format says and not by what wrote it."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + data)
        chunks[kind], at = data, at + 12 + size
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 0, 0, 0, 0]
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == height * (width + 1)
    return [raw[number * (width + 1) + 1 : (number + 1) * (width + 1)] for number in range(height)]


def test_the_picture_shows_one_spheroid() -> None:
    """A whole PNG: bright in the middle, dark at the border."""
    rows = decoded(picture.drawn())
    bright = sum(value > 100 for row in rows for value in row)
    assert rows[64][64] > 100 > rows[0][0]
    assert bright == pytest.approx(3.1416 * picture.RADIUS**2, rel=0.02)


def square(side: float, x: float = 64, y: float = 64) -> list[list[float]]:
    """A square polygon around a point."""
    half = side / 2
    return [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]]


@pytest.mark.parametrize(
    ("polygons", "why"),
    [
        ([square(64)], ""),
        ([square(40)], "of the spheroid's area"),
        ([square(64, x=20)], "44 pixels off"),
        ([], "0 polygons"),
        ([square(64), square(3)], "2 polygons"),
        ([[[1, 1], [2, 2]]], "1 polygons"),
        (None, "no polygons"),
        ([[1, 2, 3]], "no polygons"),
    ],
    ids=["right", "small", "elsewhere", "none", "two", "a line", "nothing", "no points"],
)
def test_a_segmentation_has_to_find_the_spheroid(polygons: Any, why: str) -> None:
    """Of about its size, in its place, alone."""
    found = picture.found(polygons)
    assert why in found
    assert bool(found) == bool(why)


def journal(*events: tuple[str, str, dict[str, Any]]) -> list[Entry]:
    """Entries of run, event and data."""
    return [Entry(number, f"2026-01-01T00:00:0{number}+00:00", 0.0, run, event, data, "")
            for number, (run, event, data) in enumerate(events)]  # fmt: skip


def begin(procedure: str, **arguments: Any) -> dict[str, Any]:
    """A run's beginning."""
    return {"procedure": procedure, "arguments": arguments}


V4, V3 = ("-", "release", {"version": "v4"}), ("-", "release", {"version": "v3"})
DONE = {"outcome": "done"}


@pytest.mark.parametrize(
    ("entries", "differs"),
    [
        ([V3, V4], {}),
        ([V3, V4, ("r", "begin", begin("application", version="v3")), ("r", "end", DONE)],
         {"images": "v3", "environment": "v3", "compose": "v3"}),
        ([V3, V4, ("r", "begin", begin("configuration", version="v3", part="nginx")), ("r", "end", DONE)],
         {"nginx": "v3"}),
        ([V3, V4, ("r", "begin", begin("environment", version="v3", parts=["environment"])), ("r", "end", DONE)],
         {"environment": "v3"}),
        ([V3, V4, ("r", "begin", begin("application", version="v3")), ("r", "end", {"outcome": "put back"})], {}),
        ([V3, V4, ("r", "begin", begin("application", version="v3"))], {}),
        ([V3, V4, ("r", "begin", begin("migration", migrations=[])), ("r", "end", DONE)], {}),
        ([V3, ("r", "begin", begin("application", version="v3")), ("r", "end", DONE), V4], {}),
    ],
    ids=["the last recorded", "application", "nginx alone", "env files alone", "put back", "open", "database",
         "recorded since"],
)  # fmt: skip
def test_what_should_run_is_what_was_last_recorded_or_gone_back_to(
    entries: list[tuple[str, str, dict[str, Any]]], differs: dict[str, str]
) -> None:
    """Part by part; a run that did not end well changes nothing of it."""
    assert expected(journal(*entries)) == {**dict.fromkeys(GROUPS, "v4"), **differs}


def test_without_a_record_nobody_says_what_should_run() -> None:
    """And errors count since the end of a run that changed something."""
    assert expected(journal(("r", "begin", begin("schema", version="v1")))) == {}
    ends = journal(V4, ("r", "end", DONE), ("s", "end", {"outcome": "refused"}))
    assert last_end(ends) == "2026-01-01T00:00:01+00:00"
    assert last_end(journal(V4)) is None


def deployment(folder: Path, text: str) -> Deployment:
    """The reference deployment with more in [verify], its last table."""
    (folder / "rollback.toml").write_text((REFERENCE / "rollback.toml").read_text() + f"\n{text}\n")
    return Deployment.load(folder)


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("", 0o600, "no account signs in"),
        ('account = "a@b"', 0o600, "no account signs in"),
        ('account = "a@b"\npassword_file = "none"', 0o600, "there is no file none"),
        ('account = "a@b"\npassword_file = "pw"', 0o640, "others than its owner can read pw"),
        ('account = "a@b"\npassword_file = "pw"', 0o604, "others than its owner can read pw"),
    ],
    ids=["none", "no password", "no file", "the group", "all"],
)
def test_without_an_account_to_trust_nobody_signs_in(tmp_path: Path, text: str, mode: int, why: str) -> None:
    """It is said what is missing; a password that others could read is not used."""
    (tmp_path / "pw").write_text("secret\n")
    (tmp_path / "pw").chmod(mode)
    with pytest.raises(NotTested, match=re.escape(why)):
        account(deployment(tmp_path, text))


def test_the_password_is_the_line_of_its_file_and_is_not_shown(tmp_path: Path) -> None:
    """With its blanks, without the line end; it shows in no representation."""
    (tmp_path / "pw").write_text(" p w \r\n")
    (tmp_path / "pw").chmod(0o600)
    found = account(deployment(tmp_path, 'account = "a@b"\npassword_file = "pw"'))
    assert (found.login, found.password) == ("a@b", " p w ")
    assert "p w" not in repr(found)


def active(*targets: tuple[str, str]) -> list[dict[str, Any]]:
    """`activeTargets` as Prometheus 2 tells them."""
    return [{"scrapePool": job, "labels": {"job": job}, "health": health, "lastError": "" if health != "down" else
             "connection refused"} for job, health in targets]  # fmt: skip


@pytest.mark.parametrize(
    ("there", "ok", "seen"),
    [
        (active(("backend", "up"), ("ml", "up")), True, "all 2 targets up"),
        (active(("backend", "up"), ("ml", "down")), False, "ml down: connection refused"),
        (active(("ml", "unknown")), False, "ml unknown: not asked yet"),
        ([], False, "Prometheus has no target at all"),
    ],
    ids=["all up", "one down", "never asked", "none"],
)
def test_monitoring_watches_when_every_target_is_up(there: list[dict[str, Any]], seen: str, *, ok: bool) -> None:
    """A Prometheus without targets watches nothing."""
    assert judged(there) == (ok, seen)
    assert not there or judged(there, ["node has no target yet"])[0] is False


def test_what_a_visit_has_changed_is_found_by_table() -> None:
    """New rows and changed ones; a row that somebody else took away is none of the visit's."""
    before = Belongings("d", "1", {"users": {"[1]": {"at": None}}, "tokens": {"[5]": {"x": 1}}, "old": {"[9]": {}}})
    same = Belongings("d", "1", {"users": {"[1]": {"at": None}}, "tokens": {"[5]": {"x": 1}}, "old": {}})
    other = Belongings("d", "1", {"users": {"[1]": {"at": "now"}}, "tokens": {"[5]": {"x": 1}, "[6]": {"x": 1}}})
    assert same.beyond(before) == []
    assert other.beyond(before) == ["users", "tokens"]


def test_a_browser_that_was_chosen_is_the_one_or_none(tmp_path: Path) -> None:
    """No other is taken in its place."""
    program = tmp_path / "my-chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert installed(str(program)) == str(program)
    assert installed(str(tmp_path / "none")) is None


@dataclass(frozen=True)
class Published(Deployment):
    """A deployment whose edge publishes these ports."""

    ports: dict[str, str] = field(default_factory=dict)

    def serving(self, service: str) -> list[Container]:
        """One container of the edge."""
        return [Container("1", "edge", service, "", running=True, health=None, one_off=False, labels={},
                          ports=self.ports, restarts=0)]  # fmt: skip


@dataclass(frozen=True)
class Answering(Engine):
    """An engine that answers everything alike."""

    result: Result = field(default_factory=lambda: Result(0, "", ""))

    def run(self, argv: object, **_: object) -> Result:
        """The same each time."""
        assert argv
        return self.result


def test_a_log_that_cannot_be_read_is_no_good_news() -> None:
    """Without a line of it no error is found in it, and nobody knows whether there is one."""
    quiet, unread = Result(0, "fine", ""), Result(1, "", "Error response from daemon: no such driver")
    well, ill = (Published(REFERENCE, settings.load(REFERENCE), Answering(REFERENCE, one)) for one in (quiet, unread))
    for at in (None, datetime.now(UTC)):
        assert logs.errors(well, at)[0]
        (line,) = read([("errors", partial(logs.errors, ill, at))])
        assert (line.word, "no such driver" in line.seen) == ("no", True)


class _Host(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        """Answer with the status."""
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's word
        """Quiet."""


@contextmanager
def served(status: int) -> Iterator[str]:
    """An HTTP server that answers so; its address."""
    handler = type("Handler", (_Host,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        Thread(target=one.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{one.server_port}"
        one.shutdown()


def test_users_come_in_by_http_unless_it_sends_them_on() -> None:
    """The door is the published port; where HTTP only redirects, that of HTTPS, by the name that users type."""
    table = settings.load(REFERENCE)
    with served(200) as plain, served(301) as moved:
        ports = {"80/tcp": plain, "443/tcp": "127.0.0.1:9"}
        found = door(Published(REFERENCE, table, Engine(REFERENCE), ports=ports))
        assert (found.tls, found.url) == (False, f"http://{plain}/")
        sent = door(Published(REFERENCE, table, Engine(REFERENCE), ports={**ports, "80/tcp": moved}))
        assert (sent.tls, sent.url, sent.rules) == (True, "https://localhost/", "MAP localhost:443 127.0.0.1:9")
    with pytest.raises(Failed, match="refused"):
        found.ask("GET", "/")
    with pytest.raises(NotTested, match="publishes no port"):
        door(Published(REFERENCE, table, Engine(REFERENCE)))
