"""The finished page asks nobody: analytics taken out, the browser forbidden, and both checked."""

from __future__ import annotations

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
