"""A rollback script is read before it runs: what no proof can make good is refused, by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.database.script import runnable, undoable
from rollback.outcome import Refused

if TYPE_CHECKING:
    from pathlib import Path

UP = "CREATE TABLE t (a int, c text); CREATE INDEX i ON t (a); CREATE TYPE mood AS ENUM ('a'); ALTER TABLE u ADD c int;"


def ready(tmp_path: Path, text: str) -> str:
    """The script as it would run, beside the migration above."""
    (tmp_path / "001_x.sql").write_text(UP, encoding="utf-8")
    (tmp_path / "001_x_rollback.sql").write_text(text, encoding="utf-8")
    return runnable(tmp_path / "001_x.sql", tmp_path / "001_x_rollback.sql")


def refusal(tmp_path: Path, text: str) -> str:
    """Why it is refused."""
    with pytest.raises(Refused) as caught:
        ready(tmp_path, text)
    assert caught.value.next_step
    return caught.value.found


DANGERS = {
    "drop cascade": ("DROP TABLE t CASCADE", "CASCADE"),
    "column cascade": ("ALTER TABLE u DROP COLUMN c CASCADE", "CASCADE"),
    "type cascade": ("DROP TYPE mood CASCADE", "CASCADE"),
    "a table that it did not make": ("DROP TABLE users", "not seen to make"),
    "a column that it did not make": ("ALTER TABLE users DROP COLUMN email", "not seen to make"),
    "truncate": ("TRUNCATE t", "every row"),
    "delete": ("DELETE FROM users", "every row"),
    "update": ("UPDATE users SET a = 1", "every row"),
    "hidden delete": ("WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone", "every row"),
    "begin": ("BEGIN", "transaction control"),
    "commit": ("COMMIT", "transaction control"),
    "copy from a file": ("COPY t FROM '/etc/passwd'", "file or program"),
    "system": ("ALTER SYSTEM SET fsync = off", "whole server"),
    "timeout off": ("SET lock_timeout = 0", "no proof sees"),
    "local setting": ("SET LOCAL search_path = x", "no proof sees"),
    "role": ("DROP ROLE x", "no proof sees"),
    "database setting": ("ALTER DATABASE x SET a.b = 'c'", "no proof sees"),
    "do": ("DO $$ BEGIN NULL; END $$", "no proof sees"),
    "sequence": ("SELECT setval('s', 1)", "no transaction takes it back"),
    "triggers off": ("ALTER TABLE u DISABLE TRIGGER ALL", "switched off"),
}


@pytest.mark.parametrize(("statement", "why"), DANGERS.values(), ids=DANGERS)
def test_what_no_proof_can_make_good_is_refused_by_line(tmp_path: Path, statement: str, why: str) -> None:
    """Each with its line, whatever stands before it, and with a reason."""
    found = refusal(tmp_path, f"-- ü; not; SQL\nSELECT 1;\n\n/* two\nlines */ {statement};\n")
    assert "line 5" in found
    assert why in found


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE t", "DROP INDEX i RESTRICT", "DELETE FROM u WHERE a = 1", "UPDATE u SET a = 1 WHERE b = 2",
     "ALTER TABLE u DROP COLUMN c", "SELECT 'DROP TABLE t CASCADE'", "COMMENT ON TABLE u IS 'TRUNCATE'"],
)  # fmt: skip
def test_what_the_proof_judges_is_no_danger(tmp_path: Path, statement: str) -> None:
    """Words in texts and comments are words; a drop of what the migration made is for the proof to judge."""
    assert ready(tmp_path, f"{statement}; -- TRUNCATE t;\n") == f"{statement};\n"


def test_concurrent_index_work_runs_within_the_transaction(tmp_path: Path) -> None:
    """No transaction allows CONCURRENTLY, and none is needed behind a short lock; names and texts stay."""
    text = "drop index Concurrently if exists i;\nCREATE UNIQUE INDEX CONCURRENTLY concurrently_idx ON u (ü);"
    wanted = "drop index  if exists i;\nCREATE UNIQUE INDEX  concurrently_idx ON u (ü);\n"
    assert ready(tmp_path, text) == wanted


def test_psql_commands_that_change_nothing_are_passed_over(tmp_path: Path) -> None:
    """Timing and output settings are left out; Windows line ends are fine."""
    text = "\\timing on\r\n\\set ON_ERROR_STOP on\r\n\\echo DROP TABLE users;\r\nDROP TABLE t;\r\n"
    assert ready(tmp_path, text) == "DROP TABLE t;\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [("SELECT 1;\n\n\\i other.sql\n", "line 3"),
     ("\\connect other", "line 1"),
     ("SELECT 1;\nDROP TABEL t;", "line 2: not SQL"),
     ("SELECT 'open", "line 1: a quote is opened"),
     ("COPY u FROM stdin;\n1\n\\.\n", "rows of COPY")],
    ids=["include", "connect", "typing mistake", "open text", "rows"],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    """Nothing that is not understood is run."""
    assert said in refusal(tmp_path, text)


def test_an_empty_script_runs_nothing(tmp_path: Path) -> None:
    """Comments alone are no statement: the proof will say what was left behind."""
    assert ready(tmp_path, "-- nothing\n") == ""


CHANGES = {
    "update": ("UPDATE users SET status = 'done'", "rows of public.users"),
    "update of more than its own": ("UPDATE u SET c = 1, d = 2", "rows of public.u"),
    "delete": ("DELETE FROM users WHERE a = 1", "rows of public.users"),
    "insert": ("INSERT INTO users VALUES (1)", "rows of public.users"),
    "hidden": ("WITH x AS (UPDATE users SET a = 1 RETURNING *) SELECT * FROM x", "rows of public.users"),
    "truncate": ("TRUNCATE users", "TRUNCATE"),
    "transaction": ("BEGIN", "controls transactions"),
    "do": ("DO $$ BEGIN NULL; END $$", "no proof sees"),
}


@pytest.mark.parametrize(("statement", "why"), CHANGES.values(), ids=CHANGES)
def test_a_migration_that_changed_rows_of_others_cannot_be_taken_back(tmp_path: Path, statement: str, why: str) -> None:
    """What the rows were is in no script: only a restore knows."""
    path = tmp_path / "001_x.sql"
    path.write_text(f"CREATE TABLE t (a int);\n{statement};\n", encoding="utf-8")
    (told,) = undoable(path, {"public.t"}, {"public.u": ["c"]})
    assert told.startswith("line 2: ")
    assert why in told


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO t VALUES (1)", "UPDATE t SET a = 2", "UPDATE u SET c = 1", "DELETE FROM public.t WHERE a = 1",
     "CREATE TABLE x (id int DEFAULT nextval('s'))"],
)  # fmt: skip
def test_what_a_migration_puts_into_its_own_goes_with_it(tmp_path: Path, statement: str) -> None:
    """Its own tables and its own columns."""
    path = tmp_path / "001_x.sql"
    path.write_text(f"{statement};\n", encoding="utf-8")
    assert undoable(path, {"public.t"}, {"public.u": ["c"]}) == []
