"""The first page, as HTML: it stands in front of Allure's report in the same file, and prints as a sheet to sign."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reports import procedures, runbook
from reports.answers import LIMITS
from reports.markup import cell, colour, link, table
from reports.wording import described, headline, identity, plain, uncompared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reports.answers import Answers, Untested
    from reports.findings import Finding
    from reports.lines import Drill
    from reports.run import Run

__all__ = ["front"]

STYLE = Path(__file__).with_name("front.css")
# Allure's routes begin with #; without one the first page is shown, and going back in the browser leads to it
SCRIPT = """
(function () {
  var root = document.documentElement;
  function look() { root.classList.toggle("in-detail", location.hash.length > 1); }
  addEventListener("hashchange", look);
  addEventListener("popstate", look);
  ["pushState", "replaceState"].forEach(function (name) {
    var own = history[name];
    history[name] = function () { var done = own.apply(this, arguments); look(); return done; };
  });
  look();
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("[data-front]");
    if (!link) { return; }
    event.preventDefault();
    history.pushState(null, "", location.pathname + location.search);
    document.getElementById("front").scrollTop = 0;
  });
})();
"""
OVERVIEW = "#/"
#: So many sentences of the gate stand under the answer.
_SHOWN = 5


def front(run: Run, drills: Sequence[Drill], given: Answers, places: Mapping[str, str]) -> str:
    """Return style, script and body of the first page.

    Args:
        run: what run it was.
        drills: what it recorded.
        given: the answers.
        places: where in the page each drill is told, by id.
    """
    parts = [
        _top(run, drills, given),
        procedures.every(run, given, places),
        _changes(given, places),
        _untested(given),
        _findings(run, given, places),
        _decisions(given),
        _identity(run, drills),
    ]
    style = STYLE.read_text(encoding="utf-8")
    body = "".join(parts)
    return (
        f'<style>{style}</style><div id="front"><main>{body}</main></div>'
        f'<a id="back-to-front" data-front href="#">← First page</a><script>{SCRIPT}</script>'
    )


def _top(run: Run, drills: Sequence[Drill], given: Answers) -> str:
    answer, sentence = headline(run, given)
    # a plain yes is green only where nothing is held against it
    shade = colour(given.verdict, partial=not run.complete or bool(run.gate))
    name, what = described(run, drills)
    return (
        f"<header><h1>SpherosegV4 rollback drills, {given.day}</h1>"
        f'<a class="go" href="{OVERVIEW}">Every drill in detail →</a></header>'
        f"<p><b>{escape(name)}</b>: {escape(what)}</p>"
        f'<section class="answer {shade}"><small>Can we roll back today?</small><b class="{shade}">{escape(answer)}</b>'
        f"<p>{escape(sentence)}</p>{_held(run)}</section>"
    )


def _held(run: Run) -> str:
    """What the gate holds against the run, in its own words."""
    more = f"<li>and {len(run.gate) - _SHOWN} more: see the open findings</li>" if len(run.gate) > _SHOWN else ""
    told = "".join(f"<li>{escape(plain(one))}</li>" for one in run.gate[:_SHOWN])
    return f"<ul>{told}{more}</ul>" if told else ""


def _changes(given: Answers, places: Mapping[str, str]) -> str:
    title = f"<h2>What got worse since {given.compared or 'last time'}</h2>"
    if given.compared is None:
        return f'{title}<div class="card list">{escape(" ".join(uncompared(given)))}</div>'
    worse, better = (
        "".join(
            f"<li>{link(one.drill.title, one.drill.id, places)}: {escape(one.sentence)}</li>"
            for one in given.changes
            if one.better is wanted
        )
        for wanted in (False, True)
    )
    told = f"<ul>{worse}</ul>" if worse else f"<p>{_nothing(given)}</p>"
    told += f"<p>Better:</p><ul>{better}</ul>" if better else ""
    return f'{title}<div class="card list">{told}{_uncompared(given)}</div>'


def _uncompared(given: Answers) -> str:
    return "".join(f'<p class="soft">{escape(one)}</p>' for one in uncompared(given))


def _nothing(given: Answers) -> str:
    """What is not worse, and of how much that is known."""
    if given.apart == given.timed:
        return "No drill fails that passed. Whether one is slower is not known: no time could be compared."
    of_what = "Nothing of what could be compared" if given.apart else "Nothing"
    return (
        f"{of_what}: no drill fails that passed, and none is slower by more than 25 % and two seconds than on a host "
        "as fast before, beyond what the spacing of the probes explains."
    )


def _untested(given: Answers) -> str:
    rows = "".join(map(_one_untested, given.untested))
    limits = "".join(f"<li>{escape(one)}</li>" for one in LIMITS)
    told = f"<ul>{rows}</ul>" if given.untested else "<p>Every procedure of the runbook was drilled.</p>"
    return (
        f'<h2>What was <em>not</em> tested</h2><div class="card list">{told}'
        f'<p class="soft">And by no such drill ever:</p><ul class="soft">{limits}</ul></div>'
    )


def _one_untested(one: Untested) -> str:
    if not one.drills:
        return f"<li><b>{escape(one.what)}</b>: {escape(one.why)}</li>"
    told = [f"<code>{escape(name)}</code>{f': {escape(because)}' if because else ''}" for name, because in one.drills]
    # with reasons of their own they are a list, bare names a line
    listed = f"<ul>{''.join(f'<li>{each}</li>' for each in told)}</ul>" if any(why for _, why in one.drills) else ""
    names = listed or f"<p>{', '.join(told)}</p>"
    return f"<li><details><summary>{escape(one.what)}: {escape(one.why)}</summary>{names}</details></li>"


def _findings(run: Run, given: Answers, places: Mapping[str, str]) -> str:
    if not given.findings:
        return '<h2>Open findings</h2><div class="card list">None.</div>'
    head = ("Finding", "Severity", "Owner", "Open since", "Drill again by")
    rows = "".join(_finding(run, one, given, places) for one in given.findings)
    return f"<h2>Open findings</h2>{table(head, rows)}"


def _finding(run: Run, one: Finding, given: Answers, places: Mapping[str, str]) -> str:
    again = f"<br><code>{escape(one.command)}</code>" if one.command else ""
    what = f"<b>{link(one.title, one.drill, places)}</b><br>{escape(plain(one.sentence))}{again}"
    until = f'<span class="t">{one.retest}</span>'
    late = f'<b class="fail">{until}, overdue</b>' if one.retest < given.day else until
    cells = (
        ("wide", "", what),
        ("", "Severity", escape(one.severity)),
        ("", "Owner", escape(runbook.contact(one.owner, run.contacts))),
        ("", "Open since", f'<span class="t">{one.since}</span>'),
        ("", "Drill again by", late),
    )
    return f"<tr>{''.join(cell(*each) for each in cells)}</tr>"


def _decisions(given: Answers) -> str:
    box = '<span class="box"></span>'
    items = "".join(f"<p>{box}{escape(one)}</p>" for one in given.decisions)
    lines = "".join(f"<div>{name}</div>" for name in ("Name", "Date", "Signature"))
    verdicts = "".join(
        f"<p>{box}{text}</p>" for text in ("accepted", "accepted, with the conditions above", "rejected")
    )
    return (
        f'<h2>What you have to decide</h2><div class="card"><div class="list">{items or "<p>Nothing is open.</p>"}'
        f'<p><b>Next drill due: {given.due}</b></p></div><div class="list">{verdicts}</div>'
        f'<div class="sign">{lines}</div></div>'
    )


def _identity(run: Run, drills: Sequence[Drill]) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in _facts(identity(run, drills)))
    return f'<h2>What run this was</h2><div class="card"><dl>{facts}</dl></div>'


def _facts(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in pairs:
        yield name, f"<code>{escape(value)}</code>" if name in {"run it again", "images"} else escape(value)
