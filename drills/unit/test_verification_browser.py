"""The checklist's line of the browser: what it makes of what a browser tells of a page's requests."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from drills.aftermath import test_verification as drills
from fixtures import packages
from rollback.verification.browser import troubles

HOST = "http://127.0.0.1:8080"


def asked(url: str, number: str = "1") -> tuple[str, dict[str, Any]]:
    """The page asks for something."""
    return "Network.requestWillBeSent", {"requestId": number, "request": {"url": url}}


def answered(url: str, status: int) -> tuple[str, dict[str, Any]]:
    """It gets an answer."""
    return "Network.responseReceived", {"requestId": "1", "response": {"url": url, "status": status}}


def failed(error: str, number: str = "1", *, canceled: bool = False, **more: str) -> tuple[str, dict[str, Any]]:
    """It gets none, in the words of Chromium."""
    return "Network.loadingFailed", {"requestId": number, "errorText": error, "canceled": canceled, **more}


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([asked(f"{HOST}/a.js"), answered(f"{HOST}/a.js", 200)], ""),
        ([asked(f"{HOST}/a.js"), answered(f"{HOST}/a.js", 404)], "/a.js was answered with 404"),
        ([asked(f"{HOST}/a.png"), failed("net::ERR_EMPTY_RESPONSE")],
         "127.0.0.1:8080/a.png was not loaded: net::ERR_EMPTY_RESPONSE"),
        ([asked("http://cdn.example.org/x.js?token=1#y"), failed("net::ERR_NAME_NOT_RESOLVED")],
         "cdn.example.org/x.js was not loaded: net::ERR_NAME_NOT_RESOLVED"),
        ([asked(f"{HOST}/a.js"), failed("", blockedReason="csp")], "127.0.0.1:8080/a.js was not loaded: csp"),
        ([asked(f"{HOST}/slow"), failed("net::ERR_ABORTED", canceled=True)], ""),
        ([asked(f"{HOST}/a.js"), failed("net::ERR_NETWORK_CHANGED")], ""),
        ([asked(f"{HOST}/a.js"), answered(f"{HOST}/a.js", 200), failed("net::ERR_CONTENT_LENGTH_MISMATCH")],
         "127.0.0.1:8080/a.js was not loaded: net::ERR_CONTENT_LENGTH_MISMATCH"),
        ([failed("net::ERR_FAILED")] * 2, "something was not loaded: net::ERR_FAILED"),
        ([("Runtime.exceptionThrown", {"exceptionDetails": {"text": "Uncaught"}})], "the page threw Uncaught"),
    ],
    ids=["answered", "refused", "no answer", "another host", "blocked", "cancelled", "the host's own", "cut short",
         "unknown, twice", "thrown"],
)  # fmt: skip
def test_a_request_without_an_answer_is_trouble(events: list[tuple[str, dict[str, Any]]], told: str) -> None:
    """Unless the page itself has cancelled it, or a network came or went on this host; a query may hold a token."""
    assert troubles(events) == told


class NotTestedError(Exception):
    """What a drill says of itself."""


class Nothing:
    """A bench that may carry nothing out."""

    def not_tested(self, reason: str) -> NoReturn:
        """Note the reason."""
        raise NotTestedError(reason)


@pytest.mark.parametrize(
    ("installable", "why"),
    [(False, "there is no Chromium on this host"),
     (True, "there is no Chromium on this host, and apt could not install it")],
    ids=["nobody may", "apt cannot"],
)  # fmt: skip
def test_without_a_browser_its_drill_is_not_tested(
    monkeypatch: pytest.MonkeyPatch,
    installable: bool,  # noqa: FBT001 -- a row
    why: str,
) -> None:
    """It says so in the record, by which drills/gate.toml can decide: an error would be no verdict."""

    def install(*_: object) -> None:
        raise packages.NotInstalledError("apt said no")

    monkeypatch.setattr(drills, "installed", lambda _: None)
    monkeypatch.setattr(packages, "installable", lambda: installable)
    monkeypatch.setattr(packages, "install", install)
    with pytest.raises(NotTestedError) as said:
        drills.test_a_browser_sees_what_no_request_shows(Nothing())  # type: ignore[arg-type]
    assert str(said.value) == why
