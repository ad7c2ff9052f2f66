"""The first page, as HTML: it stands in front of Allure's report in the same file, and prints as a sheet to sign."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reports import runbook
from reports.answers import LIMITS
from reports.lines import FAIL, PASS
from reports.wording import answered, bounds, headline, identity, outcome, plain, seconds, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reports.answers import Answers, Procedure, Untested
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
_HEAD = ("", "Verdict", "Objective", "RTO, slowest path", "Longest downtime", "Writes lost", "Requests broken", "Trend")
_WIDTH, _HEIGHT = 90, 22
_CODE = re.compile(r"`([^`]+)`")


def front(run: Run, drills: Sequence[Drill], given: Answers, places: Mapping[str, str]) -> str:
    """Return style, script and body of the first page.

    Args:
        run: what run it was.
        drills: what it recorded.
        given: the answers.
        places: where in the page each drill is told, by id.
    """
    parts = [
        _top(run, given),
        _issues(run, given),
        _procedures(given, places),
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


def _top(run: Run, given: Answers) -> str:
    answer, sentence = headline(run, given)
    kind = _kind(given.verdict, partial=not run.complete)
    return (
        f"<header><h1>SpherosegV4 rollback drill, {given.day}</h1>"
        f'<a class="go" href="{OVERVIEW}">Every drill in detail →</a></header>'
        f'<section class="answer {kind}"><small>Can we roll back today?</small><b class="{kind}">{escape(answer)}</b>'
        f"<p>{escape(sentence)}</p></section>"
    )


def _issues(run: Run, given: Answers) -> str:
    rows = "".join(_row(one, answered(one.verdict, run), partial=not run.complete) for one in given.issues)
    head = ("If this happens", "Can we?", *_HEAD[2:])
    return f"<h2>The runbook's Quick Reference</h2>{_table(head, rows)}{_READ}"


_READ = (
    '<p class="soft">Times are intervals: not sooner and not later, as far as the probes can tell. RTO counts from the '
    "operator's command until every path serves the right release for good; downtime counts from the fault, so the "
    "time until the drill had seen it is part of it; what users miss where no recovery is asked for, as in a refusal, "
    "stands at the drill alone. The upper bound is held against the objective. A write is lost "
    "if it was acknowledged and is gone; “as announced” are those of which the command had told before that they would "
    "be: row by row, or as all that came after the backup. A request is broken if it failed by the rollback and not by "
    "the fault.</p>"
)


def _row(one: Procedure, answer: str, *, partial: bool = False) -> str:
    slow = one.slowest
    drills = f"{one.passed} of {len(one.drills)} drills passed" if one.drills else "no drill ran"
    cells = (
        ("name", "", f"{escape(one.title)}<br><small>{drills}</small>"),
        ("", "Verdict", f'<span class="tag {_kind(one.verdict, partial=partial)}">{escape(answer)}</span>'),
        ("", "Objective", seconds(one.objective)),
        ("", "RTO, slowest path", "-" if slow is None else _time(slow)),
        ("", "Longest downtime", _downtime(one.downtime)),
        ("", "Writes lost", _lost(one)),
        ("", "Requests broken", "-" if one.failed is None else str(one.failed)),
        ("", "Trend", _trend(one)),
    )
    return f"<tr>{''.join(_cell(*cell) for cell in cells)}</tr>"


def _time(one: Drill) -> str:
    told = bounds(one.slowest_low, one.slowest)
    return f'<span class="t">{told}</span>' if " to " in told else told


def _cell(kind: str, label: str, html: str) -> str:
    return f'<td class="{kind}" data-is="{label}"><div>{html}</div></td>'


def _downtime(paths: Mapping[str, float]) -> str:
    if not paths:
        return "-"
    down = [f"<small>{escape(path)}</small>&nbsp;{seconds(high)}" for path, high in paths.items() if high]
    return "<br>".join(down) or "none"


def _lost(one: Procedure) -> str:
    known = sum(drill.lost or 0 for drill in one.measured)
    if one.uncounted == len(one.measured):
        return "-"
    count = f'<b class="fail">{known}</b>' if known else "0"
    unknown = f"<br><small>{one.uncounted} not counted</small>" if one.uncounted else ""
    return f"{count}{unknown}" + (f"<br><small>+{one.announced} as announced</small>" if one.announced else "")


def _trend(one: Procedure) -> str:
    values = [value for _, value in one.trend]
    if len(values) < 2:  # noqa: PLR2004 -- a line needs two points
        return "<small>no earlier run</small>" if one.drills else "-"
    high = max(values) or 1.0
    step = _WIDTH / (len(values) - 1)
    points = [(round(i * step, 1), round(_HEIGHT - value / high * _HEIGHT, 1)) for i, value in enumerate(values)]
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="{2.8 if (x, y) == points[-1] else 1.7}"/>' for x, y in points)
    told = ", ".join(f"{day}: {value:.1f} s" for day, value in one.trend)
    share = f"{values[-1] / values[-2] - 1:+.0%}" if values[-2] else ""
    line = " ".join(f"{a},{b}" for a, b in points)
    return (
        f'<svg class="trend" width="{_WIDTH}" height="{_HEIGHT}" role="img"><title>RTO, upper bound: {told}</title>'
        f'<polyline points="{line}"/>{dots}</svg>'
        f"<br><small>{share} since<br>{one.trend[-2][0]}</small>"
    )


def _procedures(given: Answers, places: Mapping[str, str]) -> str:
    rows = "".join(_row(one, word(one.verdict)) + _drills(one, places) for one in given.procedures if one.drills)
    absent = ", ".join(escape(one.title) for one in given.procedures if not one.drills)
    note = f'<p class="soft">Not drilled in this run: {absent}.</p>' if absent else ""
    table = _table(("Procedure", *_HEAD[1:]), rows) if rows else ""
    return f"<h2>Which procedures, how fast, what would be lost</h2>{table}{note}"


def _drills(one: Procedure, places: Mapping[str, str]) -> str:
    told = "".join(_drill(drill, places) for drill in one.drills)
    summary = f"{len(one.drills)} drill{'s' * (len(one.drills) > 1)}: what went wrong, what was typed, what came of it"
    # what did not pass is not to be looked for
    opened = "" if one.passed == len(one.drills) else " open"
    return (
        f'<tr class="drills"><td colspan="{len(_HEAD)}"><details{opened}><summary>{summary}</summary>'
        f"<ul>{told}</ul></details></td></tr>"
    )


def _drill(drill: Drill, places: Mapping[str, str]) -> str:
    reason = "" if drill.passed else f"<p>{escape(plain(drill.reason))}</p>"
    typed = ", ".join(f"<code>{escape(one)}</code>" for one in drill.typed)
    lines = (escape(drill.story), f"Typed: {typed}" if typed else "", escape(outcome(drill)))
    told = "".join(f"<br><small>{line}</small>" for line in lines if line)
    return (
        f'<li><span class="tag {_kind(drill.verdict)}">{escape(drill.verdict)}</span> '
        f"{_link(drill.title, drill.id, places)}{told}{reason}</li>"
    )


def _link(text: str, drill: str, places: Mapping[str, str]) -> str:
    # titles name commands between backticks, as docstrings do
    told = _CODE.sub(r"<code>\1</code>", escape(text))
    return f'<a href="{places[drill]}">{told}</a>' if drill in places else told


def _changes(given: Answers, places: Mapping[str, str]) -> str:
    title = f"<h2>What got worse since {given.compared or 'last time'}</h2>"
    if given.compared is None:
        return f'{title}<div class="card list">{_NO_MEASURE}</div>'
    worse, better = (
        "".join(
            f"<li>{_link(one.drill.title, one.drill.id, places)}: {escape(one.sentence)}</li>"
            for one in given.changes
            if one.better is wanted
        )
        for wanted in (False, True)
    )
    told = f"<ul>{worse}</ul>" if worse else _NOTHING_WORSE
    told += f"<p>Better:</p><ul>{better}</ul>" if better else ""
    return f'{title}<div class="card list">{told}{_fresh(given)}</div>'


def _fresh(given: Answers) -> str:
    ran = len({drill.id for one in given.procedures for drill in one.measured})
    told = f"{given.fresh} of {ran} drills were in no earlier run: nothing is known of a change in them."
    return f'<p class="soft">{told}</p>' if given.fresh else ""


_NO_MEASURE = "There is no earlier run to compare with: no drill of this run was in an earlier one."
_NOTHING_WORSE = (
    "<p>Nothing: no drill fails that passed, and none is slower by more than 25 % and two seconds than on a host as "
    "fast before, beyond what the spacing of the probes explains.</p>"
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
    return f"<h2>Open findings</h2>{_table(head, rows)}"


def _finding(run: Run, one: Finding, given: Answers, places: Mapping[str, str]) -> str:
    again = f"<br><code>{escape(one.command)}</code>" if one.command else ""
    what = f"<b>{_link(one.title, one.drill, places)}</b><br>{escape(plain(one.sentence))}{again}"
    until = f'<span class="t">{one.retest}</span>'
    late = f'<b class="fail">{until}, overdue</b>' if one.retest < given.day else until
    cells = (
        ("wide", "", what),
        ("", "Severity", escape(one.severity)),
        ("", "Owner", escape(runbook.contact(one.owner, run.contacts))),
        ("", "Open since", f'<span class="t">{one.since}</span>'),
        ("", "Drill again by", late),
    )
    return f"<tr>{''.join(_cell(*cell) for cell in cells)}</tr>"


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


def _table(head: Sequence[str], rows: str) -> str:
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    return f'<div class="card"><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _kind(verdict: str, *, partial: bool = False) -> str:
    """The colour of a verdict; the pass of a partial run is no answer to the question."""
    return {PASS: "open" if partial else "pass", FAIL: "fail"}.get(verdict, "open")
