"""The page asks no outside host."""

from __future__ import annotations

import pytest

from reports import page

TAG = (
    '<script async src="https://www.googletagmanager.com/gtag/js?id=G-X"></script>\n<script>\n'
    "  function gtag(){dataLayer.push(arguments);}\n  gtag('js', new Date());\n</script>"
)
INSIDE = '<img src="data:image/png;base64,AAAA"><a href="https://example.org/runbook">runbook</a>'


def html(body: str) -> str:
    """Return a page with this body."""
    return f"<html><head><title>t</title></head><body><script>keep()</script>{body}</body></html>"


def test_analytics_are_taken_out_and_nothing_else() -> None:
    """Both scripts go; those before and after stay."""
    closed = page.closed(html(f"{TAG}<script>data()</script>{INSIDE}"))
    assert "gtag" not in closed
    assert "<script>keep()</script><script>data()</script>" in closed
    assert INSIDE in closed


def test_the_browser_is_told_to_ask_nobody() -> None:
    """A policy stands first in the head, so that it holds for everything after it."""
    closed = page.closed(html(""))
    assert closed.index("Content-Security-Policy") < closed.index("<title>")
    assert "http" not in page.POLICY


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('<script src="https://example.org/x.js"></script>', id="script"),
        pytest.param('<link rel="stylesheet" href="//example.org/x.css">', id="link-without-scheme"),
        pytest.param("<img src=http://example.org/x.png>", id="img-without-quotes"),
        pytest.param('<img srcset="x.png 1x, https://example.org/x.png 2x">', id="srcset"),
        pytest.param('<iframe src="HTTPS://example.org"></iframe>', id="iframe-upper-case"),
        pytest.param('<meta http-equiv="refresh" content="0; url=https://example.org">', id="refresh"),
    ],
)
def test_a_source_on_another_host_is_refused(source: str) -> None:
    """Whatever a browser would load by itself is found and named."""
    with pytest.raises(page.AsksOutsideError, match=r"(?i)example\.org"):
        page.closed(html(source))


def test_analytics_in_another_shape_are_refused() -> None:
    """When the next Allure writes its tag otherwise, no page is built rather than a page that asks."""
    with pytest.raises(page.AsksOutsideError, match="analytics"):
        page.closed(html("<script>load('www.googletagmanager.com')</script>"))
