"""Many findings, one verdict."""

import pytest

from fixtures.verdict import Finding, Verdict, combine

P, F, I = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE  # noqa: E741 - as in the table below


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [([], F), ([P], P), ([P, P], P), ([P, I], I), ([I, F], F), ([F, P], F), ([I], I), ([P, I, F], F)],
)
def test_fail_outranks_inconclusive_outranks_pass_and_nothing_is_no_pass(
    verdicts: list[Verdict], expected: Verdict
) -> None:
    """Fail outranks inconclusive outranks pass and nothing is no pass."""
    assert combine(Finding("x", verdict, "") for verdict in verdicts) is expected
