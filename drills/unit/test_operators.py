"""What an abort to a dying release must have come to."""

from __future__ import annotations

import pytest

from fixtures.command import Outcome
from fixtures.operators import is_defined
from fixtures.verdict import Verdict

GOOD = "v4.0.0"
BACK = "taken back: put backend, frontend, ml back as v4.0.0 had them"
KEPT = "failed: `users served by v4.0.0` could not be taken back: no address for backend."


@pytest.mark.parametrize(
    ("code", "said", "status", "release", "verdict"),
    [
        pytest.param(0, BACK, 502, None, Verdict.PASS, id="back on the dead release"),
        pytest.param(0, BACK, 504, None, Verdict.PASS, id="back, and nginx still tries"),
        pytest.param(40, KEPT, 401, GOOD, Verdict.PASS, id="still served by the target"),
        pytest.param(0, BACK, 401, GOOD, Verdict.FAIL, id="says back and is not"),
        pytest.param(0, "", 502, None, Verdict.FAIL, id="back without a word"),
        pytest.param(0, BACK, None, None, Verdict.FAIL, id="the edge itself is gone"),
        pytest.param(40, KEPT, 502, None, Verdict.FAIL, id="says kept and users are served by nobody"),
        pytest.param(40, KEPT, 503, GOOD, Verdict.FAIL, id="kept, and the target is ill"),
        pytest.param(1, "Traceback (most recent call last)", 502, None, Verdict.FAIL, id="a traceback"),
        pytest.param(0, f"{BACK} Traceback", 502, None, Verdict.FAIL, id="a traceback besides"),
        pytest.param(30, KEPT, 401, GOOD, Verdict.FAIL, id="another exit code"),
    ],
)
def test_an_abort_ends_in_a_state_that_it_names(
    code: int, said: str, status: int | None, release: str | None, verdict: Verdict
) -> None:
    """Back on the dead release, or still with the target: what is said is what is so."""
    assert is_defined(Outcome((), code, said, ""), status, release, GOOD).verdict is verdict
