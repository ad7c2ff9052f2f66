"""A real browser opens a real report: it asks nobody, and shows the first page and each drill."""

from __future__ import annotations

import json
import shutil
import socketserver
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from reports import build, page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: What a browser asks for by itself, whatever page it opens.
OF_THE_BROWSER = ("googleapis.com", "gvt1.com", "google.com")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--virtual-time-budget=8000",
    "--dump-dom",
)
RESULT = {
    "uuid": "1",
    "name": "A release that crashes is taken back",
    "fullName": "drills.x#test",
    "historyId": "1",
    "status": "passed",
    "labels": [{"name": "drill", "value": "app.crash"}],
    "start": 1_700_000_000_000,
    "stop": 1_700_000_001_000,
}
LINE = {
    "id": "app.crash",
    "title": "A release that crashes is taken back",
    "section": "Application Rollback / Quick Rollback (Docker)",
    "verdict": "pass",
    "writes": {"lost": 0},
}

pytestmark = pytest.mark.exhaustive("test_reports_build looks for sources without a browser, in every run")


class _Asked(socketserver.ThreadingTCPServer):
    """A proxy that answers nobody and remembers what it was asked."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Line)


class _Line(socketserver.StreamRequestHandler):
    """The first line of a request through a proxy names the host."""

    server: _Asked

    def handle(self) -> None:
        """Remember it and hang up."""
        self.server.asked.append(self.rfile.readline().decode(errors="replace").strip())


@pytest.fixture
def proxy() -> Iterator[_Asked]:
    """Whatever the browser asks of any host goes here."""
    with _Asked() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of one drill."""
    results, output = tmp_path / "latest" / "allure-results", tmp_path / "latest"
    results.mkdir(parents=True)
    (results / "1-result.json").write_text(json.dumps(RESULT), encoding="utf-8")
    (output / build.RECORD).write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    return build.build(results, output)


def opened(address: str, proxy: _Asked, profile: Path) -> str:
    """Open an address as somebody would, and return what became of the page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser is not None, f"no browser: install one of {', '.join(BROWSERS)}, or leave -m exhaustive to CI"
    port = proxy.server_address[1]
    # <-loopback>: this host is not excepted either
    through = (f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>")
    argv = [browser, *FLAGS, *through, f"--user-data-dir={profile}", address]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_request_would_be_seen(proxy: _Asked, tmp_path: Path) -> None:
    """The test of the test: a page that asks for something of another host is caught."""
    asking = tmp_path / "asking.html"
    asking.write_text('<img src="http://outside.example/x.png">', encoding="utf-8")
    opened(asking.as_uri(), proxy, tmp_path / "profile")
    assert any("outside.example" in one for one in proxy.asked)


def test_the_report_asks_nobody(report: Path, proxy: _Asked, tmp_path: Path) -> None:
    """Neither the first page nor a drill sends a single request to any host."""
    place = page.places(report.read_text(encoding="utf-8"))["app.crash"]
    front = opened(report.as_uri(), proxy, tmp_path / "profile")
    story = opened(f"{report.as_uri()}{place}", proxy, tmp_path / "profile")
    ours = [one for one in proxy.asked if not any(own in one for own in OF_THE_BROWSER)]
    assert ours == []
    assert "in-detail" not in _root(front)
    assert "in-detail" in _root(story)


def _root(html: str) -> str:
    """The opening tag of the document, on which its state is written."""
    return html[html.index("<html") : html.index("<head")]
