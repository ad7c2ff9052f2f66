"""Infrastructure Rollback / Monitoring Stack: the team sees again, and has kept what it saw before."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx
import pytest

from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed
from fixtures.faults.candidates import GOOD
from fixtures.faults.monitoring import ADDED, KINDS, BrokenMonitoring
from fixtures.monitoring import GRAFANA, grafana_is_here
from fixtures.operators import broken_target_first, ended, served_meanwhile
from fixtures.scenario import Scenario, carried_out
from fixtures.variations import each
from fixtures.verdict import Finding, Verdict

if TYPE_CHECKING:
    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.drill import Drill

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.infrastructure]

SECTION = "Infrastructure Rollback / Rollback Monitoring Stack"
OBJECTIVE = 120
REFUSED = 20
HARDEST, QUICKEST = "compose", "receiver"
FACTS = {
    "section": SECTION,
    "procedure": "monitoring",
    "severity": "normal",
    "objective": OBJECTIVE,
    "brings": ("monitoring's files",),
}
RESIDUE = (
    Allowed("rows *", "users went on working", expected=False),
    Allowed(f"image rollback/*{ADDED}:retired-*", "what the bad file added is kept for the post-mortem",
            expected=False),
    Allowed(f"volume *{ADDED}_data", "nothing here deletes a volume", expected=False),
)  # fmt: skip
#: What promtool and amtool can see; a target that is wrong and a flag that does not exist are none of it.
REFUSABLE = ("config", "rule", "receiver")
#: What each fault has to do with.
CHANGED = {"compose": {"prometheus"}}


def steady_containers(drill: Drill) -> None:
    """Which containers there are before the fault, for the comparison in the end."""
    drill.worlds["monitoring"] = drill.stack.monitoring.containers()


def sees_again(case: Case) -> list[Finding]:
    """The metrics of before are there, their gap is known and told, and only what had to be was made anew."""
    kind = case.scenario.fault.kind  # type: ignore[attr-defined]
    there, then = case.stack.monitoring.containers(), case.worlds["monitoring"]
    anew = {one for one in then if there.get(one) != then[one]}
    return [
        finding("only what changed is made anew", anew == CHANGED.get(kind, set()), f"made anew: {sorted(anew)}"),
        finding("nothing added is left", set(there) == set(then), f"{sorted(set(there) ^ set(then))}"),
        _gap(case),
        *(_added(case) if kind == "compose" else []),
    ]


def _added(case: Case) -> list[Finding]:
    """The volume that a bad file added stays until somebody drops it; that of the metrics nobody can drop."""
    monitoring, rollback = case.stack.monitoring, case.stack.rollback
    added = sorted(one for one in monitoring.volumes() if ADDED in one)
    metrics = f"{monitoring.project}_prometheus_data"
    needed = rollback("volume", "drop", metrics, "--yes")
    dropped = rollback("volume", "drop", *added, "--yes")
    now = monitoring.volumes()
    return [
        finding("added volume kept", len(added) == 1, f"{added}"),
        ended("metrics are not dropped", needed, REFUSED, "mounted by", "named by"),
        ended("what nothing needs can be dropped", dropped, 0),
        finding("dropped is gone, metrics are there", metrics in now and not {*added} & now, f"{sorted(now)}"),
    ]


def _gap(case: Case) -> Finding:
    """What the command told of missing samples is what Prometheus has."""
    injected = next(one.wall for one in case.history.marks if one.name == "fault injected")
    try:
        times = case.stack.monitoring.times("backend")
    except httpx.HTTPError as error:  # a Prometheus that does not answer has no metrics for anybody
        return finding("metrics", good=False, text=f"they cannot be read: {error}")
    gap = max((b - a for a, b in pairwise(times)), default=0.0)
    told = re.search(r"longest time without a sample ([0-9.]+) s", case.outcome.stdout if case.outcome else "")
    figures = {"metrics gap s": round(gap, 1)}
    kept = bool(times) and times[0] < injected
    good = kept and told is not None and float(told[1]) >= gap - 0.2
    text = f"longest gap {gap:.1f} s, told {told[1] if told else 'nothing'}; samples before the fault: {kept}"
    return Finding("metrics", Verdict.PASS if good else Verdict.FAIL, text, 0 if good else 1, figures=figures)


def broken(kind: str, **more: object) -> Scenario:
    """A broken file of the monitoring stack, and the way back."""
    operator = broken_target_first("refuses the configuration") if kind in REFUSABLE else carried_out
    usual: dict[str, object] = {
        "command": ("monitoring", GOOD),
        "objective": OBJECTIVE,
        "monitored": True,
        "arranged": steady_containers,
        "operator": served_meanwhile(operator),
        "said": ("metrics kept",),
        "again": 0,  # nobody knows what Prometheus has read until it has read it again
        "residue": RESIDUE,
        "blamed": (),
        "further": sees_again,
        "tells": ("metrics",),
        "budget": Budget(gap=5.0),
    }
    return Scenario.back_to(GOOD, BrokenMonitoring(kind), **{**usual, **more})  # type: ignore[arg-type]


@each(
    "kind",
    "monitoring",
    KINDS,
    FACTS,
    why="the way back is the same for each of them",
    always={HARDEST},
    gate={QUICKEST},
)
def test_monitoring_that_sees_nothing(drill: Bench, kind: str) -> None:
    """A broken monitoring file goes back: every target is up, every alert loaded, the metrics kept."""
    drill(broken(kind))


def grafana_shows(case: Case) -> list[Finding]:
    """Grafana was left alone, is well, and has its source of data still."""
    where = case.stack.monitoring.compose("port", "grafana", "3000").check().stdout.strip()
    with httpx.Client(base_url=f"http://{where}", auth=("admin", "development-only"), timeout=10) as client:
        health, sources = client.get("/api/health").json(), client.get("/api/datasources").json()
    return [
        *sees_again(case),
        finding("grafana healthy", health.get("database") == "ok", f"{health}"),
        finding("grafana has its source", any(one["type"] == "prometheus" for one in sources), f"{sources}"),
    ]


@pytest.mark.exhaustive("the way back is that of the others")
@pytest.mark.drill(id="monitoring-grafana", **FACTS)
def test_grafana_is_left_alone(drill: Bench) -> None:
    """Prometheus goes back, and Grafana beside it goes on and shows it."""
    if not grafana_is_here():
        drill.not_tested(f"the image {GRAFANA} is not here")
    drill(broken(HARDEST, further=grafana_shows))
