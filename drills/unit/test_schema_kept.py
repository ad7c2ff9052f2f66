"""What a schema rollback has put into its attic is read from there for the documents."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.database.schema.change import Change
from rollback.procedures import schema as procedure

if TYPE_CHECKING:
    from collections.abc import Mapping

AFTER = "a" * 64
FACTS: dict[str, Any] = {
    "run": "r1", "target": "v1", "backup": "", "change": asdict(Change()), "after": AFTER, "history": {"012": "{}"},
    "seen": {"lost": {}, "newer": {}, "shortened": {}}, "gone": [], "dependent": "", "unheard": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("noted", "figures"),
    [
        (None, {}),
        ({"rows": {"public.diary": 7, "public.mother": 51}}, {"rows_kept": 58}),
        ({"rows": {}}, {"rows_kept": 0}),
    ],
    ids=["not committed", "rows", "none"],
)
def test_the_rows_that_were_kept_are_told(
    monkeypatch: pytest.MonkeyPatch, noted: Mapping[str, Any] | None, figures: dict[str, float]
) -> None:
    """As they were noted within the transaction; a command that was killed just after it has not told them yet."""
    live = SimpleNamespace(session=None, kept=lambda: noted)
    monkeypatch.setattr(procedure, "schema_of", lambda _: SimpleNamespace(digest=AFTER))
    monkeypatch.setattr(procedure, "cleared", lambda _: [])
    monkeypatch.setattr("rollback.database.schema.recorded.history_rows", lambda *_: [("012", "{}")])
    monkeypatch.setattr(procedure, "Live", lambda *_: live)
    one = SimpleNamespace(connect=lambda *_, **__: nullcontext())
    monkeypatch.setattr("rollback.database.server.of_deployment", lambda _: nullcontext(one))
    table = SimpleNamespace(database=SimpleNamespace(name="spheroseg", history="schema_migrations"))
    deployment: Any = SimpleNamespace(settings=table, run_folder=Path)
    seen = procedure.plan(deployment, FACTS).steps[-1].read()
    assert (seen.holds, dict(seen.figures)) == (True, figures)
