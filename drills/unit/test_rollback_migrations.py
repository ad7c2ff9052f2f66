"""Which migrations are taken back, and what taking one back has to undo: decided before any database is asked."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback import tables
from rollback.database import checkout
from rollback.database.expectation import Made, Migration
from rollback.database.fingerprint import Difference
from rollback.database.takeback import TakeBack
from rollback.outcome import Refused, UsageError
from rollback.procedures import migration as procedure

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.plan import Step

THERE = [
    Migration(version, f"{version}_x.sql", "", "" if version == "008" else "DOWN") for version in ("008", "009", "010")
]


@pytest.mark.parametrize(
    ("versions", "steps", "chosen"),
    [(["010"], 0, ["010"]), (["010", "009"], 0, ["010", "009"]), ([], 1, ["010"]), ([], 2, ["010", "009"])],
    ids=["newest", "two by name", "one step", "two steps"],
)
def test_the_newest_are_taken_back_newest_first(versions: list[str], steps: int, chosen: list[str]) -> None:
    """By name or by number, in the only order that is safe."""
    assert [one.version for one in checkout.to_take_back(THERE, versions, steps)] == chosen


REFUSED = {
    "not applied": (["011"], 0, "Not applied: 011; applied: 010, 009, 008."),
    "out of order": (["009"], 0, "009 cannot be taken back now: the newest applied are 010, 009"),
    "a gap": (["010", "008"], 0, "010, 008 cannot be taken back now"),
    "oldest first": (["009", "010"], 0, "009, 010 cannot be taken back now"),
    "twice": (["010", "010"], 0, "010, 010 cannot be taken back now"),
    "too many": ([], 4, "Not applied: 4 migrations"),
    "no script": ([], 3, "008_x.sql has no rollback script"),
}


@pytest.mark.parametrize(("versions", "steps", "said"), REFUSED.values(), ids=REFUSED)
def test_any_other_order_is_refused(versions: list[str], steps: int, said: str) -> None:
    """What came later may stand on what came before; each refusal says what is possible."""
    with pytest.raises(Refused) as caught:
        checkout.to_take_back(THERE, versions, steps)
    assert said in caught.value.found
    assert caught.value.next_step


def a_checkout(root: Path, *names: str) -> Any:
    """A deployment of which only the migrations' folder matters."""
    (root / "migrations").mkdir()
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"-- {name}", encoding="utf-8-sig")
    return SimpleNamespace(root=root, settings=SimpleNamespace(migrations=tables.MigrationsTable()))


@pytest.mark.parametrize(
    "script",
    ["migrations/002_b_rollback.sql", "migrations/rollback/002_b_rollback.sql", "scripts/rollback/002_b_rollback.sql"],
)
def test_a_rollback_script_is_found_where_teams_put_it(tmp_path: Path, script: str) -> None:
    """Beside its migration, in a folder below, or in the folder of scripts; it is no migration itself."""
    found = checkout.migrations(
        a_checkout(tmp_path, "migrations/001_a.sql", "migrations/002_b.sql", script, "migrations/README.sql")
    )
    assert [(one.version, one.name, one.down) for one in found] == [
        ("001", "001_a.sql", ""),
        ("002", "002_b.sql", f"-- {script}"),
    ]


def test_two_migrations_of_one_number_are_refused(tmp_path: Path) -> None:
    """Which of them was applied cannot be told from the history."""
    with pytest.raises(Refused, match="Two migrations share the number 002"):
        checkout.migrations(a_checkout(tmp_path, "migrations/002_a.sql", "migrations/002_b.sql"))


def test_a_checkout_without_migrations_says_where_it_looked(tmp_path: Path) -> None:
    """A folder that is not there, and one in which nothing has a number."""
    one = a_checkout(tmp_path)
    with pytest.raises(UsageError, match="There is no migration in"):
        checkout.migrations(one)
    (tmp_path / "migrations").rmdir()
    with pytest.raises(UsageError, match="There is no folder"):
        checkout.migrations(one)


MADE = Made(
    (
        Difference("relation public.diary", None, "table owner postgres"),
        Difference("relation public.by_day", None, "view owner postgres as SELECT 1"),
        Difference("column public.diary.id", None, "bigint"),
        Difference("column public.by_day.day", None, "date"),
        Difference("column public.users.seen", None, "timestamptz"),
        Difference("column public.users.email", "varchar(20)", "text"),
        Difference("column public.users.gone", "text", None),
        Difference("index public.images.images_idx", None, "CREATE INDEX"),
        Difference("type public.mood", None, "e 'a'"),
        Difference("function public.f()", None, "CREATE FUNCTION"),
    )
)


def test_what_would_be_lost_is_rows_of_new_tables_and_values_of_new_columns() -> None:
    """A view holds nothing, a changed column loses nothing, and a dropped one is gone already."""
    assert MADE.tables() == ["public.diary"]
    assert MADE.columns() == {"public.users": ["seen"]}


def test_partitions_are_told_apart() -> None:
    """Parent and partition hold the same rows."""
    made = Made(
        (
            Difference("relation public.p", None, "partitioned table owner x partition by RANGE (a)"),
            Difference("relation public.p1", None, "table owner x partition FOR VALUES FROM (1) TO (2)"),
            Difference("relation public.v", None, "view owner x as SELECT partition"),
            Difference("relation public.t", None, "table owner x"),
        )
    )
    assert made.partitioned() == ["public.p", "public.p1"]


def test_what_was_there_before_and_is_touched_is_locked() -> None:
    """New relations need no lock; an index locks its table."""
    assert MADE.touched() == ["public.images", "public.users"]


def test_parents_of_new_rows_are_locked() -> None:
    """Those that were there before, whatever the columns; a key to a table of its own needs none."""
    made = Made(
        (
            Difference("relation public.diary", None, "table owner x"),
            Difference("constraint public.diary.a", None, "FOREIGN KEY (land, city) REFERENCES public.city(land, id)"),
            Difference("constraint public.diary.b", None, "FOREIGN KEY (of) REFERENCES public.diary(id)"),
            Difference(
                "constraint public.mother.c", None, "FOREIGN KEY (a) REFERENCES other.t$1(id) ON DELETE CASCADE"
            ),
            Difference("constraint public.diary.d", None, "CHECK (word = 'REFERENCES public.x(')"),
        )
    )
    assert made.parents() == ["other.t$1", "public.city"]


class SomebodyElsesRun:
    """A database in which another run has taken 013 back; it answers only what is asked of attics."""

    def execute(self, question: str, _: object = None) -> SimpleNamespace:
        """The attic of the other run."""
        return SimpleNamespace(fetchall=lambda: [("rollback_attic_013_other",)] if "pg_namespace" in question else [])


def a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """The step that takes 013 back, of a run that was overtaken."""
    monkeypatch.setattr("rollback.database.server.session_of", lambda _: nullcontext(SomebodyElsesRun()))
    monkeypatch.setattr(procedure, "alone", lambda *_: None)
    table = SimpleNamespace(history="schema_migrations")
    tables = SimpleNamespace(database=table, migrations=SimpleNamespace(lock_key=None))
    one: Any = SimpleNamespace(
        settings=tables, state=tmp_path, run_folder=lambda run: tmp_path / "runs" / run, migrations=lambda: ["012"]
    )
    facts = {"version": "013", "name": "013_x.sql", "up": "", "down": ""}
    known = {"run": "ours", "migrations": [facts], "made": {"013": []}, "dependent": "", "unheard": ""}
    return procedure.plan(one, known).steps[-1]


class OursIsDone(SomebodyElsesRun):
    """A database in which this run has taken 013 back as well, and kept seven rows of one table and none of another."""

    def execute(self, question: str, _: object = None) -> SimpleNamespace:
        """Both attics, and what is noted with each."""
        noted = (json.dumps({"version": "013", "rows": {"public.sessions": 7, "public.empty": 0}}),)
        both = [("rollback_attic_013_other",), ("rollback_attic_013_ours",)]
        return SimpleNamespace(fetchall=lambda: both if "FROM pg_namespace" in question else [], fetchone=lambda: noted)


def test_what_a_migration_has_put_into_the_attic_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from this run's attic, so that a command that was killed after the commit can still tell it."""
    step = a_step(tmp_path, monkeypatch)
    monkeypatch.setattr("rollback.database.server.session_of", lambda _: nullcontext(OursIsDone()))
    seen = step.read()
    assert (seen.holds, dict(seen.figures)) == (True, {"rows_kept": 7})
    assert seen.seen == "the database is at 012; kept: 7 rows of public.sessions"


def test_who_was_overtaken_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between plan and lock somebody else was faster: that is said, and the script does not run a second time."""
    with pytest.raises(Refused, match=r"Somebody else has taken 013_x\.sql back meanwhile"):
        a_step(tmp_path, monkeypatch).act()


def test_who_was_overtaken_brings_nothing_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other run took back stays as it left it when this one puts back what it has done: nothing."""
    monkeypatch.setattr(TakeBack, "forward", lambda *_: pytest.fail("it was brought forward"))
    step = a_step(tmp_path, monkeypatch)
    assert step.undo is not None
    step.undo()
