"""What was given out: a table that is misspelt in rollback.toml is no table in which nothing is open."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment.revocation import FILE, Revocation
from rollback.outcome import Failed, Refused
from rollback.procedures.containment_survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def deployment(folder: Path) -> Any:
    """As much of one as the survey asks for."""
    settings = SimpleNamespace(containment=None)
    return SimpleNamespace(state=folder, settings=settings, run_folder=lambda run: folder / run)


@contextmanager
def signed_in(_: object) -> Iterator[None]:
    """A session that is asked nothing."""
    yield


def test_a_misspelt_table_of_tokens_ends_it_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the survey, and once more before anything is decreed, for the database may not have run until then."""
    monkeypatch.setattr("rollback.containment.revocation.session_of", signed_in)
    monkeypatch.setattr("rollback.containment.revocation.lacking", lambda *_: ["it has no token"])
    there = deployment(tmp_path)
    with pytest.raises(Refused, match="cannot be taken back: it has no token") as caught:
        survey(there, ("revoke",), "run")
    assert "contain isolate" in caught.value.next_step
    with pytest.raises(Refused, match="it has no token"):
        Revocation(there, "run").revoke()
    assert not (tmp_path / FILE).exists()


def test_a_database_that_is_down_is_no_reason_not_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started behind the shut door, and asked then."""

    def down(_: object) -> None:
        raise Failed("The database service `db` is not running.")

    monkeypatch.setattr("rollback.containment.revocation.session_of", down)
    Revocation(deployment(tmp_path), "run").possible()
    with pytest.raises(Failed, match="is not running"):
        Revocation(deployment(tmp_path), "run").revoke()
    assert not (tmp_path / FILE).exists()
