"""What is dangerous in a migration or its rollback, told from its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.database.migrations.gate import DANGER, NOTE, findings
from rollback.database.migrations.script import Script, read

if TYPE_CHECKING:
    from pathlib import Path


def script(folder: Path, name: str, text: str) -> Script:
    """A script with that text."""
    (folder / name).write_text(text, encoding="utf-8")
    return read(folder / name, folder)


#: text -> (severity, object, words of the reason)
RULES: dict[str, tuple[str, str, str]] = {
    "DROP TABLE t": (DANGER, "t", "the table is gone with its data"),
    "DROP TABLE public.t": (DANGER, "t", "gone with its data"),
    "DROP TABLE a.t": (DANGER, "a.t", "gone with its data"),
    "DROP SCHEMA s": (DANGER, "s", "the schema is gone"),
    "DROP MATERIALIZED VIEW v": (DANGER, "v", "the materialized view is gone"),
    "DROP TYPE m": (DANGER, "m", "the type is gone"),
    "DROP DATABASE d": (DANGER, "d", "the database is gone"),
    "ALTER TABLE t DROP COLUMN c": (DANGER, "t.c", "the column is gone"),
    "DROP VIEW v CASCADE": (DANGER, "v", "CASCADE takes"),
    "ALTER TABLE t DROP CONSTRAINT c CASCADE": (DANGER, "c", "CASCADE takes"),
    "TRUNCATE t CASCADE": (DANGER, "t", "TRUNCATE"),
    "DROP TABLE IF EXISTS t": (NOTE, "t", "IF EXISTS hides"),
    "ALTER TABLE t DROP COLUMN IF EXISTS c": (NOTE, "c", "IF EXISTS hides"),
    "CREATE TABLE IF NOT EXISTS t (a int)": (NOTE, "t", "IF NOT EXISTS hides"),
    "DELETE FROM t": (DANGER, "t", "DELETE without WHERE"),
    "WITH d AS (DELETE FROM t RETURNING a) SELECT * FROM d": (DANGER, "t", "DELETE without WHERE"),
    "UPDATE t SET a = 1": (DANGER, "t", "UPDATE without WHERE"),
    "BEGIN": (DANGER, "", "transaction control (BEGIN)"),
    "COMMIT": (DANGER, "", "transaction control (COMMIT)"),
    "SAVEPOINT s": (DANGER, "", "transaction control (SAVEPOINT)"),
    "DO $$ BEGIN DROP TABLE t; END $$": (NOTE, "", "a DO block is opaque"),
    "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$": (NOTE, "", "with EXECUTE"),
    "CALL p()": (NOTE, "", "a procedure is opaque"),
    "SET search_path = x": (NOTE, "search_path", "stays for what follows"),
    "SET session_replication_role = replica": (DANGER, "session_replication_role", "switched off"),
    "ALTER SYSTEM SET work_mem = '1GB'": (DANGER, "", "changes the whole server"),
    "CREATE ROLE r": (NOTE, "r", "the whole server"),
    "CREATE INDEX i ON t (a)": (NOTE, "t", "stops all writes"),
    "CREATE INDEX CONCURRENTLY i ON t (a)": (NOTE, "i", "cannot run in a transaction"),
    "ALTER TYPE m ADD VALUE 'x'": (NOTE, "x", "cannot be dropped again"),
    "ALTER TABLE t RENAME TO u": (NOTE, "t", "under its old name"),
    "ALTER TABLE t RENAME COLUMN a TO b": (NOTE, "t", "under its old name"),
    "ALTER TABLE t ALTER COLUMN a TYPE varchar(10)": (DANGER, "t.a", "may be narrower"),
    "ALTER TABLE t ALTER COLUMN a TYPE int": (DANGER, "t.a", "may be narrower"),
    "ALTER TABLE t ALTER COLUMN a TYPE text": (NOTE, "t.a", "may rewrite"),
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL": (NOTE, "t.a", "reads the whole table"),
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)": (NOTE, "t", "checked on every row"),
    "ALTER TABLE t DISABLE TRIGGER ALL": (DANGER, "t", "switched off"),
    "VACUUM t": (NOTE, "", "cannot run in a transaction"),
    "COPY t FROM PROGRAM 'x'": (DANGER, "t", "file or program of the server"),
    "SELEC 1": (NOTE, "", "makes nothing of it"),
}


@pytest.mark.parametrize("text", RULES)
def test_each_danger_is_found(tmp_path: Path, text: str) -> None:
    """With severity, object and reason, by its line."""
    severity, name, why = RULES[text]
    found = findings(script(tmp_path, "001_x.sql", f"SELECT 1;\n\n{text};"))
    assert {one.line for one in found} == {3}
    assert any((one.severity, one.object) == (severity, name) and why in one.why for one in found), found


HARMLESS = [
    "CREATE TABLE t (a int PRIMARY KEY)",
    "CREATE TABLE t (a int); CREATE INDEX ON t (a); ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
    "ALTER TABLE t ADD COLUMN a int",
    "DELETE FROM t WHERE a = 1",
    "UPDATE t SET a = 1 WHERE a = 2",
    "SET LOCAL lock_timeout = '2s'",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'",
    "INSERT INTO t VALUES ('DROP TABLE x CASCADE')",
    "COMMENT ON TABLE t IS 'TRUNCATE'",
    "COPY t FROM stdin;\n1\n\\.\n",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_nothing_is_said_about_the_harmless(tmp_path: Path, text: str) -> None:
    """A warning on everything is a warning on nothing."""
    assert findings(script(tmp_path, "001_x.sql", text)) == []


OWN = {
    "table": ("CREATE TABLE t (a int)", "DROP TABLE t"),
    "table in a schema": ("CREATE TABLE s.t (a int)", "DROP TABLE s.t"),
    "public": ("CREATE TABLE t (a int)", "DROP TABLE public.t"),
    "column": ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t DROP COLUMN a"),
    "column of an own table": ("CREATE TABLE t (a int, b int)", "ALTER TABLE t DROP COLUMN b"),
    "constraint": ("ALTER TABLE t ADD CONSTRAINT c CHECK (true)", "ALTER TABLE t DROP CONSTRAINT c"),
    "index": ("CREATE INDEX i ON t (a)", "DROP INDEX i"),
    "view": ("CREATE VIEW v AS SELECT 1", "DROP VIEW v"),
    "materialized view": ("CREATE MATERIALIZED VIEW v AS SELECT 1", "DROP MATERIALIZED VIEW v"),
    "table as": ("CREATE TABLE t AS SELECT 1", "DROP TABLE t"),
    "enum": ("CREATE TYPE m AS ENUM ('a')", "DROP TYPE m"),
    "composite": ("CREATE TYPE m AS (a int)", "DROP TYPE m"),
    "domain": ("CREATE DOMAIN d AS int", "DROP DOMAIN d"),
    "sequence": ("CREATE SEQUENCE s", "DROP SEQUENCE s"),
    "function": ("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f(int)"),
    "trigger": ("CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", "DROP TRIGGER g ON t"),
    "policy": ("CREATE POLICY p ON t", "DROP POLICY p ON t"),
    "schema": ("CREATE SCHEMA s", "DROP SCHEMA s"),
    "extension": ("CREATE EXTENSION e", "DROP EXTENSION e"),
    "renamed": ("ALTER TABLE t RENAME TO u", "DROP TABLE u"),
}


@pytest.mark.parametrize(("up", "down"), OWN.values(), ids=OWN)
def test_a_rollback_may_drop_what_its_migration_made(tmp_path: Path, up: str, down: str) -> None:
    """And nothing else: the same rollback of another migration is a danger."""
    back = script(tmp_path, "001_x_rollback.sql", down)
    own = findings(back, script(tmp_path, "001_x.sql", up))
    foreign = findings(back, script(tmp_path, "002_y.sql", "CREATE TABLE other (a int)"))
    assert [one for one in own if one.severity == DANGER] == []
    assert ["not seen to make" in one.why for one in foreign if one.severity == DANGER] == [True]
