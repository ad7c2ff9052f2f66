"""`rollback migration check` on a real PostgreSQL: what can be taken back, and every way in which it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drills.database.migration_folder import BASE, pair, written
from rollback.database.migrations.bench import Bench
from rollback.database.migrations.check import Checker
from rollback.database.migrations.find import find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rollback.database.migrations.verdict import Checked, Report
    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]


CHILD = BASE + "CREATE TABLE children (id int PRIMARY KEY, parent int NOT NULL REFERENCES parents (id));"
STATEMENT_SECONDS = 20


@pytest.fixture
def judge(server: Server, tmp_path: Path) -> Callable[..., Report]:
    """Write files and check their folder."""

    def run(files: dict[str, str], *, data: dict[str, str] | None = None, schema: str = "") -> Report:
        folder = tmp_path / "migrations"
        assert written(folder, files)
        initial = written(tmp_path, {"schema.sql": schema})[0] if schema else None
        more = written(tmp_path / "data", data or {})
        with Bench.opened(server, "spheroseg", "public.schema_migrations", STATEMENT_SECONDS) as bench:
            return Checker(bench, find(folder), folder, initial, more).run()

    return run


def last(report: Report) -> Checked:
    """The one that matters."""
    return report.checked[-1]


LEFT = {
    "enum": ("CREATE TYPE mood AS ENUM ('a'); ALTER TABLE parents ADD COLUMN mood mood;",
             "ALTER TABLE parents DROP COLUMN mood;", "type public.mood"),
    "grant": ("GRANT SELECT ON parents TO pg_monitor; CREATE TABLE x (a int);", "DROP TABLE x;",
              "relation public.parents"),
    "trigger": ("CREATE TRIGGER t BEFORE UPDATE ON parents EXECUTE FUNCTION suppress_redundant_updates_trigger();",
                "SELECT 1;", "trigger public.parents.t"),
    "function": ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "", "function public.f()"),
    "sequence": ("CREATE SEQUENCE s;", "DROP SEQUENCE IF EXISTS z;", "sequence public.s"),
    "role": ("CREATE ROLE left_behind;", "SELECT 1;", "role left_behind"),
    "default": ("ALTER TABLE parents ALTER COLUMN size SET DEFAULT 5;",
                "ALTER TABLE parents ALTER COLUMN size SET DEFAULT 0;", "column public.parents.size"),
    "null": ("ALTER TABLE parents ALTER COLUMN name DROP NOT NULL;", "SELECT 1;", "column public.parents.name"),
}  # fmt: skip


@pytest.mark.parametrize(("up", "down", "name"), LEFT.values(), ids=LEFT)
def test_what_a_rollback_leaves_is_named(judge: Callable[..., Report], up: str, down: str, name: str) -> None:
    """The schema is not back, and the object that differs is named, none other."""
    found = last(judge(pair(up, down)))
    assert (found.rollback_runs, found.schema_back, found.data_back, found.reversible) == (True, False, True, False)
    assert {one.name for one in found.schema} == {name}


def test_a_cascade_into_another_table_is_seen_twice(judge: Callable[..., Report]) -> None:
    """By its text, and by the foreign key that is gone."""
    found = last(judge(pair("CREATE TABLE x (a int);", "DROP TABLE x; DROP TABLE parents CASCADE;", CHILD)))
    dangers = [str(one) for one in found.findings["rollback"] if one.severity == "danger"]
    assert any("CASCADE" in one for one in dangers)
    assert any("not seen to make" in one and "parents" in one for one in dangers)
    assert "constraint public.children.children_parent_fkey" in {one.name for one in found.schema}
    assert [str(one) for one in found.rows] == ["public.parents: gone with 3 rows"]
    assert (found.schema_back, found.data_back, found.up_again) == (False, False, False)


LOST = {
    "rows deleted on the way up": ("DELETE FROM parents WHERE id > 0;", "SELECT 1;", "public.parents: 0 rows, was 3"),
    "column dropped and made anew": (
        "ALTER TABLE parents DROP COLUMN name;",
        "ALTER TABLE parents ADD name text NOT NULL DEFAULT ''; ALTER TABLE parents ALTER name DROP DEFAULT;",
        "public.parents: 3 rows as before, but other values in them"),
    "text cut": ("ALTER TABLE parents ALTER COLUMN name TYPE varchar(20) USING left(name, 20);",
                 "ALTER TABLE parents ALTER COLUMN name TYPE text;",
                 "public.parents: 3 rows as before, but other values in them"),
    "rows deleted on the way down": ("SELECT 1;", "DELETE FROM parents;", "public.parents: 0 rows, was 3"),
}  # fmt: skip


@pytest.mark.parametrize(("up", "down", "told"), LOST.values(), ids=LOST)
def test_rows_that_are_lost_are_seen(judge: Callable[..., Report], up: str, down: str, told: str) -> None:
    """The schema is back to the letter; the rows are not, and that alone makes it irreversible."""
    found = last(judge(pair(up, down)))
    assert (found.schema_back, found.data_back, found.reversible) == (True, False, False)
    assert [str(one) for one in found.rows] == [told]


def test_a_type_that_narrows_says_so(judge: Callable[..., Report]) -> None:
    """The rows are wider than the new type: PostgreSQL's own words, and a finding from the text."""
    found = last(judge(pair("ALTER TABLE parents ALTER COLUMN size TYPE int;", "SELECT 1;")))
    assert (found.applies, found.failures["up"].sqlstate) == (False, "22003")
    assert "may be narrower" in str(found.findings["migration"][0])


def test_the_statement_that_fails_is_named_and_the_next_are_judged(judge: Callable[..., Report]) -> None:
    """Line, code, message and hint of the third statement; nothing of it stays; the rest is judged without it."""
    report = judge({
        "001_base.sql": BASE,
        "002_bad.sql": "CREATE TABLE a (x int);\nCREATE TABLE b (x int);\nINSERT INTO b\n  SELECT nam FROM parents;",
        "003_good.sql": "CREATE TABLE a (x int);",
        "003_good_rollback.sql": "DROP TABLE a;",
    })  # fmt: skip
    _, bad, good = report.checked
    failure = bad.failures["up"]
    assert (failure.line, failure.sqlstate, failure.statement) == (3, "42703", "INSERT INTO b SELECT nam FROM parents")
    assert "parents.name" in failure.hint
    assert good.reversible
    assert "judged without 002_bad, which did not apply" in good.notes


FAILING = {
    "rows of COPY": ("CREATE TABLE x (a int);\nCOPY x FROM stdin;\n1\none\n\\.\n", 2, "22P02"),
    "at COMMIT": (
        "CREATE TABLE x (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO x VALUES (1), (1);", 2, "23505"),
    "nobody can parse it": ("SELECT 1;\n\nSELEC 2;", 3, "42601"),
    "inside of a DO block": ("DO $$ BEGIN RAISE EXCEPTION 'no'; END $$;", 1, "P0001"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "sqlstate"), FAILING.values(), ids=FAILING)
def test_wherever_it_fails_it_is_told(judge: Callable[..., Report], text: str, line: int, sqlstate: str) -> None:
    """And nothing of the file stays: the next finds the schema as it was."""
    report = judge({"001_x.sql": text, "002_y.sql": "CREATE TABLE x (a int);"})
    failure = report.checked[0].failures["up"]
    assert (failure.line, failure.sqlstate) == (line, sqlstate)
    assert last(report).applies


def test_migrations_that_share_a_number_are_both_judged(judge: Callable[..., Report]) -> None:
    """Each with the rollback of its own name."""
    report = judge({
        "001_a.sql": "CREATE TABLE a (x int);", "001_b.sql": "CREATE TABLE b (x int);",
        "rollback/001_a_rollback.sql": "DROP TABLE a;", "rollback/001_b_rollback.sql": "DROP TABLE b;",
    })  # fmt: skip
    assert [one.migration.id for one in report.checked] == ["001_a", "001_b"]
    assert all(one.reversible for one in report.checked)


def test_psql_commands_are_understood(judge: Callable[..., Report]) -> None:
    r"""`\timing`, `\set ON_ERROR_STOP on`, `\i` and rows after COPY; what is not understood is no silent success."""
    report = judge({
        "001_base.sql": "\\timing\n\\set ON_ERROR_STOP on\n\\i parts/tables.psql\nCOPY t FROM stdin;\n1\tone\n\\.\n",
        "001_base_rollback.sql": "\\timing on\nDROP TABLE t;\n",
        "parts/tables.psql": "CREATE TABLE t (a int, b text);\n",
        "002_connect.sql": "CREATE TABLE u (a int);\n\\connect other\n",
    })  # fmt: skip
    base, connect = report.checked
    assert base.reversible
    assert (connect.applies, connect.failures["up"].line) == (False, 2)
    assert "\\connect" in connect.failures["up"].message


def test_an_error_in_an_included_file_is_told_with_its_name(judge: Callable[..., Report]) -> None:
    """The line is that of the included file."""
    report = judge({"001_base.sql": "\\i parts/x.psql\n", "parts/x.psql": "\nSELECT nothing_there;\n"})
    assert str(last(report).failures["up"]).startswith("x.psql line 2: `SELECT nothing_there`")


def test_a_concurrent_index_runs_outside_of_a_transaction(judge: Callable[..., Report]) -> None:
    """PostgreSQL refuses it inside; it is run statement by statement and the report says what that means."""
    up, down = "CREATE INDEX CONCURRENTLY i ON parents (name);", "DROP INDEX CONCURRENTLY i;"
    found = last(judge(pair(up, down)))
    assert found.reversible
    assert sum("statement by statement" in one for one in found.notes) == 2


def test_an_invalid_index_is_noticed(judge: Callable[..., Report]) -> None:
    """A unique index that could not be built stays behind, and the report names it."""
    base = "CREATE TABLE parents (name text); INSERT INTO parents VALUES ('x'), ('x');"
    found = last(judge(pair("CREATE UNIQUE INDEX CONCURRENTLY i ON parents (name);", "DROP INDEX i;", base)))
    assert (found.applies, found.failures["up"].sqlstate) == (False, "23505")
    assert any("the index i is invalid" in one for one in found.notes)
    assert any("left behind: index public.parents.i" in one for one in found.notes)


def test_a_new_enum_value_that_is_used_at_once(judge: Callable[..., Report]) -> None:
    """In one transaction PostgreSQL refuses it; statement by statement it is judged."""
    base = "CREATE TYPE m AS ENUM ('a'); CREATE TABLE t (m m);"
    found = last(judge(pair("ALTER TYPE m ADD VALUE 'b'; INSERT INTO t VALUES ('b');", "DELETE FROM t;", base)))
    assert (found.applies, found.schema_back) == (True, False)
    assert [one.name for one in found.schema] == ["type public.m"]


def test_a_rollback_that_errors(judge: Callable[..., Report]) -> None:
    """Its statement is named; nothing of it stays, so the next migration is judged on the right schema."""
    files = pair("CREATE TABLE x (a int);", "DROP TABLE x;\nDROP TABLE y;")
    report = judge(
        {**files, "003_next.sql": "ALTER TABLE x ADD b int;", "003_next_rollback.sql": "ALTER TABLE x DROP b;"}
    )
    _, bad, good = report.checked
    assert (bad.rollback_runs, bad.up_again, bad.failures["rollback"].line) == (False, None, 2)
    assert bad.failures["rollback"].sqlstate == "42P01"
    assert good.reversible


def test_up_again_has_to_come_out_as_before(judge: Callable[..., Report]) -> None:
    """A migration that hides behind IF NOT EXISTS does nothing the second time, when the rollback left a stump."""
    up = "CREATE TABLE IF NOT EXISTS x (a int, b int);"
    found = last(judge(pair(up, "ALTER TABLE x DROP COLUMN b;")))
    assert (found.rollback_runs, found.up_again) == (True, False)
    assert found.again == ["column public.x.b is gone: integer"]


def test_values_that_differ_each_time_are_no_failure(judge: Callable[..., Report]) -> None:
    """now() and random UUIDs differ between two times up from the same start as well."""
    up = "CREATE TABLE x (a uuid DEFAULT gen_random_uuid(), n int); INSERT INTO x (n) VALUES (1);"
    found = last(judge(pair(up, "DROP TABLE x;")))
    assert found.reversible
    assert any("other values each time" in one for one in found.notes)


def test_rows_that_a_second_time_doubles_are_a_failure(judge: Callable[..., Report]) -> None:
    """A rollback that forgets the rows it put in leaves the second time with twice as many."""
    base = "CREATE TABLE log (n int);"
    found = last(judge(pair("INSERT INTO log VALUES (9);", "SELECT 1;", base)))
    assert (found.data_back, found.up_again) == (False, False)
    assert [str(one) for one in found.rows] == ["public.log: 4 rows, was 3"]


def test_given_rows_are_used_instead_of_made_ones(judge: Callable[..., Report]) -> None:
    """They are loaded as soon as their table is there; rows that never fit are reported."""
    files = pair("ALTER TABLE parents ADD more text;", "ALTER TABLE parents DROP more;")
    data = {"a.sql": "INSERT INTO parents VALUES (7, 'seven', 7);", "b.sql": "INSERT INTO nowhere VALUES (1);"}
    report = judge(files, data=data)
    assert (last(report).reversible, last(report).compared) == (True, 1)
    assert ["b.sql" in one for one in report.unloaded] == [True]


def test_an_initial_schema_is_the_ground(judge: Callable[..., Report]) -> None:
    """A folder whose first migrations are long gone can be judged."""
    report = judge({"007_x.sql": "ALTER TABLE parents ADD x int;", "007_x_rollback.sql": "ALTER TABLE parents DROP x;"},
                   schema=BASE)  # fmt: skip
    assert last(report).reversible
    assert last(report).compared == 3


def test_a_table_that_cannot_be_filled_is_named(judge: Callable[..., Report]) -> None:
    """Nothing is known about its data, and the report says so."""
    report = judge({"001_x.sql": "CREATE TABLE x (a int CHECK (a = 4711));"})
    assert list(report.unfilled) == ["public.x"]
    assert "violates check constraint" in report.unfilled["public.x"]


def test_a_statement_that_never_ends_is_ended(server: Server, tmp_path: Path) -> None:
    """After the limit it counts as a failure, and the check goes on; whoever comes next has no limit."""
    written(tmp_path, {"001_x.sql": "SELECT pg_sleep(60);", "002_y.sql": "CREATE TABLE y (a int);"})
    with Bench.opened(server, "spheroseg", "public.schema_migrations", 1) as bench:
        slow, good = Checker(bench, find(tmp_path), tmp_path).run().checked
    assert (slow.failures["up"].sqlstate, good.applies) == ("57014", True)
    with server.connect("postgres") as session:
        assert session.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_migration_that_ends_its_own_session(judge: Callable[..., Report]) -> None:
    """The session is gone; the check is not."""
    report = judge({
        "001_x.sql": "SELECT pg_terminate_backend(pg_backend_pid());", "002_y.sql": "CREATE TABLE y (a int);",
    })  # fmt: skip
    assert [one.applies for one in report.checked] == [False, True]


def test_own_transactions_are_run_as_psql_runs_them(judge: Callable[..., Report]) -> None:
    """BEGIN and COMMIT in the file are understood; a COMMIT that is missing is told."""
    good = last(judge(pair("BEGIN; CREATE TABLE x (a int); COMMIT;", "BEGIN; DROP TABLE x; COMMIT;")))
    assert good.reversible
    assert good.dangers == 4
    bad = last(judge(pair("BEGIN; CREATE TABLE x (a int);", "DROP TABLE x;")))
    assert "never committed" in bad.failures["up"].message
