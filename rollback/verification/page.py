"""The page that users get, and everything that it asks for."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rollback.deployment import Answer, Deployment
    from rollback.verification.line import Seen

__all__ = ["assets", "frontend", "within_style"]

_OK = 200
_ASKS = {"script": ("src",), "link": ("href",), "img": ("src", "srcset"), "source": ("src", "srcset"),
         "video": ("src", "poster"), "audio": ("src",), "iframe": ("src",)}  # fmt: skip
#: Links that name a page or a host, and nothing that is loaded.
_NO_ASSETS = {"preconnect", "dns-prefetch", "canonical", "alternate", "author", "help", "license", "next", "prev"}
_IN_STYLE = re.compile(r"""url\(\s*['"]?([^'")]+)['"]?\s*\)|@import\s+['"]([^'"]+)['"]""", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_HTML = re.compile(r"\s*(?:<!doctype html|<html)", re.IGNORECASE)


class _Assets(HTMLParser):
    """Collects what a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and set((given.get("rel") or "").lower().split()) & _NO_ASSETS:
            return
        for key in _ASKS.get(tag, ()):
            value = given.get(key) or ""
            self.found += [part.split()[0] for part in value.split(",") if part.split()] if key == "srcset" else [value]


def assets(page: str) -> list[str]:
    """The paths of this host that a page asks for, each once, in order."""
    parser = _Assets()
    parser.feed(page)
    return _paths(parser.found, "/")


def within_style(style: str, path: str) -> list[str]:
    """The paths of this host that a style sheet at `path` asks for: pictures, fonts, other sheets."""
    return _paths(("".join(found) for found in _IN_STYLE.findall(_COMMENT.sub("", style))), path)


def _paths(addresses: Iterable[str], base: str) -> list[str]:
    """What another host answers, or the address itself holds (`data:`), the edge cannot be asked for."""
    found = []
    for address in addresses:
        parts = urlsplit(address)
        if address.strip() and not parts.scheme and not parts.netloc and parts.path:
            found.append(urljoin(base, address.partition("#")[0]))
    return list(dict.fromkeys(found))


def frontend(deployment: Deployment) -> Seen:
    """The page, every asset it names, and what its style sheets name; a page in place of an asset is none."""
    page = deployment.through_edge("/")
    if page.status != _OK:
        return False, f"the page answered {page.status or 'nothing'}: {page.body[:120]}"
    asked = assets(page.body)
    if not asked:
        return False, "the page names no asset at all"
    lost, answers = _missing(deployment, asked)
    styles = [path for path in asked if urlsplit(path).path.endswith(".css")]
    behind = [one for path in styles for one in within_style(answers[path].body, path) if one not in answers]
    lost += _missing(deployment, list(dict.fromkeys(behind)))[0]
    count = len(answers) + len(set(behind))
    return not lost, f"missing: {', '.join(lost)}" if lost else f"the page and all {count} assets it names"


def _missing(deployment: Deployment, paths: list[str]) -> tuple[list[str], dict[str, Answer]]:
    if not paths:
        return [], {}
    answers = dict(zip(paths, deployment.fetch_all([deployment.edge_url(path) for path in paths]), strict=True))
    return [why for path, one in answers.items() if (why := _why(path, one))], answers


def _why(path: str, answer: Answer) -> str:
    """Why this is not the asset; empty if it is one."""
    if answer.status != _OK:
        return path
    if not answer.body:
        return f"{path} (empty)"
    named = urlsplit(path).path.rpartition(".")[2]
    return f"{path} (a page came in its place)" if named not in ("html", "htm") and _HTML.match(answer.body) else ""
