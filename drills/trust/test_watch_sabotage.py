"""A watcher that lies is caught by the classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from fixtures import watching
from rollback.watch import decision

if TYPE_CHECKING:
    from rollback.watch.decision import Baseline, Decision, Policy, Sample

SABOTAGES = {
    "one bad window is enough": ("len(reasons) >= policy.bad_windows", "len(reasons) >= 1", "spike"),
    "requests are not counted": ("self.failed[group] += failed", "self.failed[group] += 0", "a third fails"),
    "error lines are not counted": ("self.errors += sample.errors or 0", "self.errors += 0", "jobs fail"),
    "no data counts as healthy": ("if total < policy.requests:", "if total < 0:", "no traffic"),
    "a dead source is not noticed": ("if dead > _HALF * len(samples):", "if dead < 0:", "source dead"),
    "the clock is believed": ("gap if 0 < gap <= _GAP * policy.interval else policy.interval", "gap", "clock jumps"),
    "nobody may start slowly": ("not started:", "not age:", "slow start"),
    "groups are not told apart": ("often >= policy.bad_windows", "often > 99", "uploads alone fail"),
}


@pytest.mark.trust
@pytest.mark.parametrize("name", SABOTAGES)
def test_sabotaged_decision_is_caught(name: str) -> None:
    """The kind of release that stands for it is judged wrongly."""
    old, new, kind = SABOTAGES[name]
    text = Path(str(decision.__file__)).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"the text of the sabotage stands {text.count(old)} times in the module"
    lying = ModuleType("rollback.watch.decision")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "rollback.watch.decision", lying)
        exec(compile(text.replace(old, new), "sabotaged", "exec"), lying.__dict__)  # noqa: S102 -- our own text
        wrong, _ = watching.mistakes(lying.decide)
    assert any(one.startswith(kind) for one in wrong), f"the sabotage survived: {wrong[:5]}"


@pytest.mark.trust
def test_watcher_that_reads_health_only_is_caught() -> None:
    """The runbook's loop around `curl`: a green page over failing requests keeps the release."""

    def health_only(samples: tuple[Sample, ...], policy: Policy, baseline: Baseline | None) -> Decision:
        return decision.decide([replace(one, counts={"GET /": (60, 0)}) for one in samples], policy, baseline)

    wrong, _ = watching.mistakes(health_only)
    assert any(one.startswith("cached health page") for one in wrong), wrong[:5]
    assert any(one.startswith("no traffic") for one in wrong), wrong[:5]
