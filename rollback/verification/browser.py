"""What a user sees in a real browser: the page loads, one can sign in, and the project is there."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rollback import progress
from rollback.engine import POLL_SECONDS
from rollback.outcome import Failed, Stop
from rollback.verification import devtools
from rollback.verification.line import NotTested
from rollback.verification.visit import visit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.deployment import Deployment
    from rollback.verification.devtools import Page
    from rollback.verification.line import Seen
    from rollback.verification.visit import Visit

__all__ = ["browser", "troubles"]

_LOGIN = "/api/auth/login"
_FAULT = 400
#: A container that starts or ends on this host is enough for it: nothing that the deployment has done.
_OF_THIS_HOST = "net::ERR_NETWORK_CHANGED"
#: A page that listens to its fields (React) hears of a value only if the browser's own setter is used.
_SIGN_IN = """function (login, password) {
    const secret = document.querySelector('input[type=password]');
    const form = secret.form;
    const name = form.querySelector('input[type=email], input[name=email], input[name=username], input[type=text]');
    const put = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    for (const [field, value] of [[name, login], [secret, password]]) {
        put.call(field, value);
        for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    form.requestSubmit(form.querySelector('button:not([type=button]):not([type=reset]), input[type=submit]'));
}"""
_FORM = """function () {
    const secret = document.querySelector('input[type=password]');
    return Boolean(secret && secret.form && secret.offsetParent !== null);
}"""
_SHOWS = "function (text) { return document.body.innerText.includes(text); }"
_SEEN = "function () { return document.body ? document.body.innerText.replace(/\\s+/g, ' ').slice(0, 200) : ''; }"


def browser(deployment: Deployment) -> Seen:
    """In a headless Chromium a user signs in and sees a project; nothing of it stays.

    Raises:
        NotTested: there is no browser on this host, or no account; see `visit`.
        Failed: what the user sees instead, and what the page says of it.
    """
    chosen = deployment.settings.verify.browser
    program = devtools.installed(chosen)
    if program is None:
        wanted = chosen or " or ".join(devtools.NAMES[:2])
        raise NotTested(f"there is no {wanted} on this host", "`apt-get install chromium`")
    began = time.monotonic()
    with visit(deployment) as (one, _):
        progress.tell("starts the browser")
        with devtools.opened(program, one.door.rules) as page:
            _Look(one, page, deployment.settings.verify.page_seconds).whole()
    return True, f"signed in and saw the project in {time.monotonic() - began:.1f} s; nothing of it stays"


@dataclass
class _Look:
    """One look of one user."""

    visit: Visit
    page: Page
    seconds: float
    _told: int = field(default=0, init=False)

    def whole(self) -> None:
        """Load, sign in, see the project; whatever happens, the session ends with the visit.

        Raises:
            Failed: what came instead.
        """
        for domain in ("Page", "Runtime", "Network"):
            self.page.call(f"{domain}.enable")
        try:
            self._see()
        except Failed as stop:
            raise Failed(f"{stop.found} {troubles(self.page.events)}".strip()) from stop
        finally:
            self.visit.others += self._tokens()
        if wrong := troubles(self.page.events):
            raise Failed(wrong)

    def _see(self) -> None:
        progress.tell("loads the page")
        failed = self.page.call("Page.navigate", url=self.visit.door.url).get("errorText")
        if failed:
            raise Failed(f"The page does not load: {failed}.")
        self._await(_FORM, "a form to sign in with")
        progress.tell("signs in, in the browser")
        self.page.run(_SIGN_IN, self.visit.account.login, self.visit.account.password)
        self._await(_SHOWS, "the project", self.visit.project)

    def _await(self, function: str, what: str, *words: str) -> None:
        deadline = time.monotonic() + self.seconds
        while not self.page.run(function, *words):
            if time.monotonic() > deadline:
                raise Failed(f"The user did not see {what} within {self.seconds:g} s; the page says: {self._words()}.")
            time.sleep(POLL_SECONDS)

    def _words(self) -> str:
        return str(self.page.run(_SEEN)).replace(self.visit.account.password, "[secret]") or "nothing"

    def _tokens(self) -> list[str]:
        """Access tokens that the page was given: their sessions end with the visit."""
        given = [words["requestId"] for method, words in self.page.events
                 if method == "Network.responseReceived" and _path(words["response"]["url"]) == _LOGIN]  # fmt: skip
        return [token for one in given if (token := self._token(one))]

    def _token(self, request: str) -> str:
        try:
            told = self.page.call("Network.getResponseBody", requestId=request)
            text = base64.b64decode(told["body"]) if told["base64Encoded"] else told["body"]
            found: Any = json.loads(text)
        except (Stop, ValueError):  # a refused sign-in has no token, and opened no session
            return ""
        return str(found.get("access_token") or "") if isinstance(found, dict) else ""


def troubles(events: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """What the page threw, what was answered with an error, and what was not answered, or not to its end.

    A request that the page itself cancelled is no trouble: a user who goes on cancels what he no longer waits for.
    """
    told, asked = [], dict[str, str]()
    for method, words in events:
        if method == "Network.requestWillBeSent":
            asked[words["requestId"]] = words["request"]["url"]
        elif method == "Runtime.exceptionThrown":
            told.append(f"the page threw {devtools.exception(words['exceptionDetails'])}")
        elif method == "Network.responseReceived" and words["response"]["status"] >= _FAULT:
            told.append(f"{_path(words['response']['url'])} was answered with {words['response']['status']}")
        elif method == "Network.loadingFailed" and (why := _failure(words)):
            told.append(f"{_place(asked.get(words['requestId'], 'something'))} was not loaded: {why}")
    return "; ".join(dict.fromkeys(told))


def _failure(words: dict[str, Any]) -> str:
    """Why a request has failed; empty where neither the deployment nor its page has anything to do with it."""
    if words.get("canceled") or words["errorText"] == _OF_THIS_HOST:
        return ""
    return str(words.get("blockedReason") or words["errorText"])


def _place(url: str) -> str:
    """Host and path: a query may hold a token."""
    return url.partition("://")[2].partition("?")[0].partition("#")[0] or url


def _path(url: str) -> str:
    return urlsplit(url).path
