"""The verdicts on migrations as people read them: one table, then what is behind each `no`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.console import Speaker
    from rollback.database.migrations.verdict import Checked, Report

__all__ = ["tell"]

_HEAD = ("migration", "applies", "rollback", "runs", "schema", "data", "rows", "up again", "danger")
#: Of a long list this many are shown; all are in the JSON.
_MOST = 20


def tell(speaker: Speaker, report: Report) -> None:
    """Say all of a report."""
    speaker.table(_HEAD, [_row(one) for one in report.checked])
    for one in report.checked:
        lines = list(_behind(one))
        if lines:
            speaker.say(f"\n{one.migration.id}")
        for line in lines:
            speaker.say(f"  {line}")
    for heading, some in _around(report):
        speaker.say(f"\n{heading}")
        for line in some:
            speaker.say(f"  {line}")
    bad = report.irreversible
    speaker.say(f"\n{len(report.checked) - len(bad)} of {len(report.checked)} can be taken back")


def _row(one: Checked) -> tuple[str, ...]:
    return (
        one.migration.id,
        _word(one.applies),
        "found" if one.rollback_found else "none",
        _word(one.rollback_runs),
        _word(one.schema_back),
        _word(one.data_back),
        "-" if one.data_back is None else str(one.compared),
        _word(one.up_again),
        str(one.dangers or ""),
    )


def _word(answer: bool | None) -> str:  # noqa: FBT001 -- an answer, not a switch
    return "-" if answer is None else "yes" if answer else "no"


def _behind(one: Checked) -> Iterator[str]:
    yield from (f"{phase} fails at {failure}" for phase, failure in one.failures.items())
    yield from _some([f"schema: {each}" for each in one.schema])
    yield from _some([f"data: {each}" for each in one.rows])
    yield from _some([f"up again: {each}" for each in one.again])
    for where, found in one.findings.items():
        yield from (f"{each.severity} in the {where}, {each}" for each in found)
    yield from (f"note: {each}" for each in one.notes)


def _some(lines: list[str]) -> Iterator[str]:
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"... and {len(lines) - _MOST} more (--json has all)"


def _around(report: Report) -> Iterator[tuple[str, list[str]]]:
    if report.strangers:
        yield "neither a migration nor a rollback of one:", report.strangers
    if report.unfilled:
        reasons = [f"{table}: {why}" for table, why in report.unfilled.items()]
        yield "no row could be made for (nothing was seen about their data):", reasons
    if report.unloaded:
        yield "rows that could not be loaded:", [f"{path}: {why}" for path, why in report.unloaded.items()]
