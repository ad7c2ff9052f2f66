"""An upload across the switch: there has to have been something to cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.history import History, Mark, Request
from fixtures.straggler import outlived
from fixtures.verdict import Verdict

UPLOAD = ("post", "write", "/api/projects/{id}/images", "POST")
MARKS = (Mark("cutover begun", 20, 0), Mark("edge switched", 21, 0))


def judged(*uploads: tuple[float, float, bool], marks: tuple[Mark, ...] = MARKS) -> Verdict:
    """The verdict on uploads as (sent, done, ok)."""
    requests = tuple(Request(*UPLOAD, sent, done, 201, ok, "", "v4.0.0") for sent, done, ok in uploads)  # type: ignore[arg-type]
    case = SimpleNamespace(history=History(requests=requests, marks=marks))
    (finding,) = outlived(cast("Any", case))
    return finding.verdict


@pytest.mark.parametrize(
    ("uploads", "verdict"),
    [
        pytest.param([(18.0, 40.0, True)], Verdict.PASS, id="longer than a stop would wait"),
        pytest.param([(18.0, 30.0, False)], Verdict.PASS, id="cut: there was something to cut"),
        pytest.param([(18.0, 30.0, True)], Verdict.INCONCLUSIVE, id="over before anything could cut it"),
        pytest.param([(20.5, 45.0, True)], Verdict.INCONCLUSIVE, id="begun after the move"),
        pytest.param([(1.0, 20.5, True)], Verdict.INCONCLUSIVE, id="over before the switch"),
        pytest.param([], Verdict.INCONCLUSIVE, id="none"),
    ],
)
def test_only_an_upload_across_the_switch_is_evidence(
    uploads: list[tuple[float, float, bool]], verdict: Verdict
) -> None:
    """Only an upload that a stopping service would have cut says anything about a drain."""
    assert judged(*uploads) is verdict


def test_without_a_switch_there_is_no_evidence() -> None:
    """Without a switch there is no evidence."""
    assert judged((18.0, 40.0, True), marks=MARKS[:1]) is Verdict.INCONCLUSIVE
