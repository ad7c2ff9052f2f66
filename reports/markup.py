"""What every part of the first page is made of, as HTML."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from reports.lines import FAIL, PASS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["cell", "colour", "link", "table", "tag"]

_CODE = re.compile(r"`([^`]+)`")


def cell(kind: str, label: str, html: str, span: int = 1) -> str:
    """Return one cell; on a phone, where a table has no head, it bears its label."""
    wide = f' colspan="{span}"' if span > 1 else ""
    return f'<td class="{kind}" data-is="{label}"{wide}><div>{html}</div></td>'


def table(head: Sequence[str], rows: str) -> str:
    """Return a table of finished rows."""
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    return f'<div class="card"><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def link(text: str, drill: str, places: Mapping[str, str]) -> str:
    """Return the text as a link to where the page tells that drill, if it does."""
    # titles name commands between backticks, as docstrings do
    told = _CODE.sub(r"<code>\1</code>", escape(text))
    return f'<a href="{places[drill]}">{told}</a>' if drill in places else told


def colour(verdict: str, *, partial: bool = False) -> str:
    """Return the colour of a verdict; the pass of a partial run is no answer to the question."""
    return {PASS: "open" if partial else "pass", FAIL: "fail"}.get(verdict, "open")


def tag(verdict: str, words: str, *, partial: bool = False) -> str:
    """Return a verdict in its colour."""
    return f'<span class="tag {colour(verdict, partial=partial)}">{escape(words)}</span>'
