"""A rollback script is read before it runs: what no proof can make good is found, by line."""

from __future__ import annotations

import pytest

from rollback.database.script import Script
from rollback.outcome import Refused

DANGERS = {
    "drop cascade": ("DROP TABLE t CASCADE", "DROP ... CASCADE"),
    "column cascade": ("ALTER TABLE t DROP COLUMN c CASCADE", "ALTER TABLE ... CASCADE"),
    "constraint cascade": ("ALTER TABLE t DROP CONSTRAINT c CASCADE", "ALTER TABLE ... CASCADE"),
    "type cascade": ("DROP TYPE t CASCADE", "DROP ... CASCADE"),
    "schema": ("DROP SCHEMA s", "DROP SCHEMA or EXTENSION"),
    "extension": ("DROP EXTENSION e", "DROP SCHEMA or EXTENSION"),
    "truncate": ("TRUNCATE t", "TRUNCATE"),
    "delete": ("DELETE FROM t", "DELETE without WHERE"),
    "update": ("UPDATE t SET a = 1", "UPDATE without WHERE"),
    "hidden delete": ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "DELETE without WHERE"),
    "begin": ("BEGIN", "BEGIN"),
    "commit": ("COMMIT", "COMMIT"),
    "savepoint": ("SAVEPOINT s", "SAVEPOINT"),
    "do": ("DO $$ BEGIN DELETE FROM t; END $$", "DO"),
    "copy": ("COPY t FROM '/etc/passwd'", "COPY"),
    "system": ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM"),
}


@pytest.mark.parametrize(("statement", "what"), DANGERS.values(), ids=DANGERS)
def test_what_no_proof_can_make_good_is_found(statement: str, what: str) -> None:
    """Each with its line, whatever stands before it, and with a reason."""
    found = Script("x.sql", f"-- ü; not; SQL\nSELECT 1;\n\n/* two\nlines */ {statement};\n").dangers()
    assert [(one.line, one.what) for one in found] == [(5, what)]
    assert found[0].why


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE t", "DROP INDEX i RESTRICT", "DELETE FROM t WHERE a = 1", "UPDATE t SET a = 1 WHERE b = 2",
     "ALTER TABLE t DROP COLUMN c", "SELECT 'DROP TABLE t CASCADE'", "COMMENT ON TABLE t IS 'TRUNCATE'"],
)  # fmt: skip
def test_what_the_proof_judges_is_no_danger(statement: str) -> None:
    """Words in texts and comments are words; a drop of what is named is for the proof to judge."""
    assert Script("x.sql", f"{statement}; -- TRUNCATE t;").dangers() == []


def test_concurrent_index_work_runs_within_the_transaction() -> None:
    """No transaction allows CONCURRENTLY, and none is needed behind a short lock; names and texts stay."""
    text = "drop index Concurrently if exists concurrently_idx;\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (ü);"
    assert (
        Script("x.sql", text).runnable() == "drop index  if exists concurrently_idx;\nCREATE UNIQUE INDEX  i ON t (ü);"
    )


def test_psql_commands_that_change_nothing_are_passed_over() -> None:
    """Timing and output settings are blanked, lines keep their numbers, Windows line ends are fine."""
    script = Script("x.sql", "\\timing on\r\n\\set ON_ERROR_STOP on\r\n\\echo DROP TABLE t;\r\nTRUNCATE t;\r\n")
    assert script.runnable().split() == ["TRUNCATE", "t;"]
    assert [one.line for one in script.dangers()] == [4]


@pytest.mark.parametrize(
    ("text", "said"),
    [("SELECT 1;\n\n\\i other.sql\n", r"x.sql, line 3: psql's \\i is not understood"),
     ("\\connect other", r"line 1: psql's \\connect is not understood"),
     ("SELECT 1;\nDROP TABEL t;", "x.sql, line 2: syntax error"),
     ("SELECT 'open", "x.sql, line 1: unterminated")],
    ids=["include", "connect", "typing mistake", "open text"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_line(text: str, said: str) -> None:
    """Nothing that is not understood is run."""
    with pytest.raises(Refused, match=said):
        Script("x.sql", text).dangers()


def test_an_empty_script_holds_nothing() -> None:
    """Comments alone are no statement."""
    assert Script("x.sql", "-- nothing\n").dangers() == []
