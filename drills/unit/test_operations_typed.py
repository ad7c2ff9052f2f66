"""What people typed is masked in the journal, and a resume goes on with it as it was typed all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rollback import operations
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.documents import impact
from rollback.operations import Operations
from rollback.outcome import Exit, Failed
from rollback.plan import Plan, Reading, Step
from rollback.procedures import rows
from rollback.release import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
PLAIN, SECRET = "width < 0", "password = 'hunter2hunter2'"


@dataclass
class World:
    """A procedure of one step that fails at first, behind which there is no way back: the run stays open."""

    fails: bool = True
    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    def plan(self, _: Deployment, facts: dict[str, Any]) -> Plan:
        """The plan from what was typed."""

        def act() -> None:
            if self.fails:
                raise Failed("it broke.")
            self.done.append(facts["where"])

        read = lambda: Reading(bool(self.done), "seen")  # noqa: E731
        step = Step("rows repaired", "because", read, act, lambda: self.undone.append("rows"), final=True)
        return Plan("rows", facts, facts["run"], "put rows back", (step,), typed=("where",))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """It stands in for the repair of rows; the edge's log is none of this test's business."""
    one = World()
    monkeypatch.setitem(operations.PROCEDURES, "rows", one.plan)
    monkeypatch.setattr(impact, "measure", lambda *_: {"reason": "not asked here"})
    return one


@pytest.fixture
def mine(tmp_path: Path) -> Operations:
    """The commands of a deployment."""
    (tmp_path / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    return Operations(Deployment.load(tmp_path), Speaker(as_json=False, assume_yes=True))


def interrupted(mine: Operations, where: str) -> Path:
    """A run that was left open, and the file in which its words lie where they may not stand in the journal."""
    with pytest.raises(Failed, match="it broke"):
        mine.carry_out(lambda run: {"run": run, "where": where}, "rows", lambda _: False)
    run = mine.journal.unfinished()
    assert run is not None
    return mine.deployment.run_folder(run) / "typed.json"


@pytest.mark.parametrize("where", [PLAIN, SECRET], ids=["plain", "secret"])
def test_a_resume_goes_on_with_what_was_typed(mine: Operations, world: World, where: str) -> None:
    """Literally, whatever the journal may say of it; what lies in the folder of the run is the owner's alone."""
    path = interrupted(mine, where)
    assert path.is_file() is (where == SECRET)
    assert "hunter2" not in mine.journal.path.read_text(encoding="utf-8")
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent) if one.exists()] in ([], [0o600, 0o700])
    world.fails = False
    mine.resume(lambda _: False)
    assert (world.done, mine.journal.unfinished()) == ([where], None)


def test_without_what_was_typed_a_run_is_taken_back_and_does_not_go_on(mine: Operations, world: World) -> None:
    """A masked condition is another condition: no row is chosen by it."""
    path = interrupted(mine, SECRET)
    path.unlink()
    world.fails = False
    with pytest.raises(Failed, match=r"What was typed to begin the run \w+ is gone") as stop:
        mine.resume(lambda _: False)
    assert (stop.value.exit, world.done) == (Exit.NOT_PUT_BACK, [])
    mine.abort(lambda _: False)
    assert (world.undone, mine.journal.unfinished()) == (["rows"], None)


def test_the_condition_of_a_repair_is_what_somebody_typed(mine: Operations) -> None:
    """It may name the value of a secret; what else a repair goes by was found and not typed."""
    facts = {"run": "r1", "backup": "b1", "table": "public.users", "where": SECRET, "overwrite": False}
    seen: dict[str, Any] = {"writes": {}, "rows": {}, "undated": [], "left": {}}
    assert rows.plan(mine.deployment, {**facts, "seen": seen}).typed == ("where",)


def test_why_a_release_is_bad_is_kept_without_what_was_pasted_in(
    rollback: Callable[..., str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tries it again is told the reason, for as long as the release lies there."""
    marked: list[str] = []
    monkeypatch.setattr(Shelf, "get", lambda *_: None)
    monkeypatch.setattr(Shelf, "mark_bad", lambda _, __, reason: marked.append(reason))
    assert rollback("release", "bad", "v1", "--reason", f"401 with {SECRET}", "--yes").startswith("0 ")
    assert marked == ["401 with password = '[secret: value]'"]
    assert "hunter2" not in (checkout / ".rollback/journal.jsonl").read_text(encoding="utf-8")
