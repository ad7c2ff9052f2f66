"""`rollback migration check` without an engine: help, wrong words, and how verdicts are told."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback.commandline.verdicts import tell
from rollback.console import Speaker
from rollback.database.fingerprint import Difference
from rollback.database.migrations.execution import Failure
from rollback.database.migrations.find import Migration
from rollback.database.migrations.gate import DANGER, Finding
from rollback.database.migrations.verdict import Checked, Report, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from drills.unit.conftest import Command, Said


@pytest.fixture
def check(tmp_path: Path, typed: Command) -> Callable[..., Said]:
    """The command in a folder with one migration and no docker."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m/001_x.sql").write_text("SELECT 1;", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return partial(typed, tmp_path, "migration", "check")


def test_help_teaches(check: Callable[..., Said]) -> None:
    """An example, every option and the exit codes."""
    code, out, err = check("--help")
    assert (code, err) == (0, "")
    words = [
        "DIR",
        "--rollbacks",
        "--schema",
        "--data",
        "--image",
        "--json",
        "Example: rollback migration check",
        "20 at",
    ]
    assert [one for one in words if one not in out] == []


WRONG = {
    "no folder": ([], "Missing argument"),
    "not there": (["none"], "There is no folder none"),
    "a file": (["m/001_x.sql"], "There is no folder m/001_x.sql"),
    "nothing in it": (["empty"], "There is no migration in empty: numbered files like 001_users.sql are looked for"),
    "no rollbacks": (["m", "--rollbacks", "none"], "There is no folder none"),
    "no schema": (["m", "--schema", "none.sql"], "There is no file none.sql"),
    "no data": (["m", "--data", "none.sql"], "There is no file none.sql"),
    "a database of the server's": (["m", "--database", "template1"], "`template1` cannot be the name of the database"),
    "no name of a table": (["m", "--history", "x; DROP TABLE y"], "cannot be the name of the history"),
    "no time": (["m", "--timeout", "0"], "Invalid value"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_usage_errors(check: Callable[..., Said], words: list[str], sentence: str) -> None:
    """Exit code 2 and one sentence, before anything is started."""
    code, out, err = check(*words)
    assert (code, out) == (2, "")
    assert sentence.lower() in " ".join(err.split()).lower()


def test_without_docker_it_says_what_is_missing(check: Callable[..., Said]) -> None:
    """The sentence of the one door to docker."""
    code, out, err = check("m")
    assert (code, out) == (50, "")
    assert "`docker` is not installed or not on PATH" in err


def test_verdicts_are_one_table_and_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    """Each answer in its column, each reason below, nothing folded."""
    one = Checked(Migration("001_x", (1,), Path("001_x.sql"), Path("r.sql")), applies=True, rollback_found=True)
    one.rollback_runs, one.schema_back, one.data_back, one.up_again, one.compared = True, False, False, False, 7
    one.schema = [Difference("type public.m", None, "e 'a'")] * 21
    one.rows = [Rows("public.t", 3, None, "1", None)]
    one.findings = {"rollback": [Finding(DANGER, 4, "DROP TABLE", "t", "gone")]}
    two = Checked(Migration("002_y", (2,), Path("002_y.sql")))
    two.failures = {"up": Failure(3, "SELEC 1", "42601", "syntax error", "a hint")}
    tell(Speaker(as_json=False), Report([one, two], ["a.txt: not SQL"], {"public.u": "why"}, {"d.sql": "how"}))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1].split() == ["001_x", "yes", "found", "yes", "no", "no", "7", "no", "1"]
    assert lines[2].split() == ["002_y", "no", "none", "-", "-", "-", "-", "-"]
    for told in [
        "  schema: type public.m is there and was not: e 'a'", "  ... and 1 more (--json has all)",
        "  data: public.t: gone with 3 rows", "  danger in the rollback, line 4: DROP TABLE t: gone",
        "  up fails at line 3: `SELEC 1` syntax error [42601] (a hint)", "  a.txt: not SQL", "  public.u: why",
        "  d.sql: how", "0 of 2 can be taken back",
    ]:  # fmt: skip
        assert told in lines


UNANSWERED = ["applies", "rollback_found", "rollback_runs", "schema_back", "data_back", "up_again"]


@pytest.mark.parametrize("answer", [False, None])
@pytest.mark.parametrize("name", UNANSWERED)
def test_every_question_counts(name: str, answer: bool | None) -> None:  # noqa: FBT001 -- an answer
    """One `no`, or one question that could not be asked, and it is not reversible."""
    one = Checked(Migration("001_x", (1,), Path("001_x.sql")), applies=True, rollback_found=True)
    one.rollback_runs = one.schema_back = one.data_back = one.up_again = True
    assert one.reversible
    setattr(one, name, answer)
    assert not one.reversible
