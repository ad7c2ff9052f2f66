"""The finished page: the first page put in front, analytics taken out, the browser forbidden to ask anybody."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser

# every page of Allure 3 loads an analytics script, and no option turns it off
ANALYTICS = re.compile(
    r"""<script\s+async\s+src="https://www\.googletagmanager\.com[^>]*>\s*</script>\s*<script>"""
    r"""(?:(?!</script>).)*gtag\((?:(?!</script>).)*</script>""",
    re.DOTALL,
)
POLICY = (
    "default-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src data: blob:; base-uri 'self'; form-action 'none'"
)
META = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
SOURCES = {"src", "href", "srcset", "data", "poster", "action", "formaction", "content"}
# an anchor is followed by a reader; these are followed by the browser on its own
MEDIA = {"img", "source", "video", "audio", "embed", "object"}
LOADED = MEDIA | {"script", "link", "base", "meta", "iframe", "frame"}
OUTSIDE = re.compile(r"(?:^|[\s,;=])(?:https?:)?//[^\s/]", re.IGNORECASE)


EMBEDDED = re.compile(r'd\("data/test-results/([^"]+)\.json","([^"]*)"\)')
BODY = re.compile(r"<body[^>]*>")


class AsksOutsideError(ValueError):
    """The page would ask another host."""


def closed(html: str) -> str:
    """Return the page without analytics and with a policy under which no host can be asked.

    Raises:
        AsksOutsideError: something in it still names another host as a source.
    """
    page = ANALYTICS.sub("", html)
    page, found = re.subn(r"<head>", f"<head>\n    {META}", page, count=1)
    left = outside(page)
    if not found:
        raise AsksOutsideError("the page has no head to put its policy in")
    if left or "googletagmanager" in page:
        raise AsksOutsideError(f"the page would ask another host: {', '.join(left) or 'analytics left in it'}")
    return page


def places(html: str) -> dict[str, str]:
    """Return where a page of Allure tells each drill, by the id of the drill."""
    found: dict[str, str] = {}
    for name, blob in EMBEDDED.findall(html):
        labels = json.loads(base64.b64decode(blob)).get("labels") or ()
        found |= {str(one["value"]): f"#{name}" for one in labels if one["name"] == "drill"}
    return found


def fronted(html: str, front: str) -> str:
    """Return the page with this at the beginning of its body.

    Raises:
        AsksOutsideError: the page has no body to put it in.
    """
    at = BODY.search(html)
    if at is None:
        raise AsksOutsideError("the page has no body to put its first page in")
    return f"{html[: at.end()]}{front}{html[at.end() :]}"


def outside(html: str) -> list[str]:
    """Return every source on another host that a browser would load by itself."""
    finder = _Finder()
    finder.feed(html)
    return finder.found


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in LOADED:
            return
        for name, value in attrs:
            if name in SOURCES and value and not value.startswith("data:") and OUTSIDE.search(value):
                self.found.append(f"<{tag} {name}={value[:100]}>")
