"""What every proof about databases stands on, seen on a real PostgreSQL: fingerprints, contents, sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback.database import fingerprint
from rollback.database.contents import contents, sequences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection, Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A session on the reference schema in a database of its own; whatever a test does is rolled back."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS one WITH (FORCE)")
        admin.execute("CREATE DATABASE one")
    with server.connect("one") as session:
        for path in sorted(MIGRATIONS.glob("*.sql")):
            session.execute(path.read_bytes())
        session.commit()
        yield session


LEFT_BEHIND = {
    "enum": "CREATE TYPE mood AS ENUM ('a')",
    "enum value": "ALTER TYPE known ADD VALUE 'b'",
    "grant": "GRANT SELECT ON users TO pg_monitor",
    "column grant": "GRANT SELECT (email) ON users TO pg_monitor",
    "default grant": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
    "trigger": "CREATE TRIGGER t BEFORE INSERT ON users EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "disabled trigger": "ALTER TABLE users DISABLE TRIGGER known",
    "event trigger": "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION known_event()",
    "function": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "function body": "CREATE OR REPLACE FUNCTION known() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "sequence": "CREATE SEQUENCE s",
    "view": "CREATE VIEW v AS SELECT 1 AS one",
    "rule": "CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING",
    "policy": "CREATE POLICY p ON users USING (true)",
    "row security": "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "column": "ALTER TABLE users ADD COLUMN x int",
    "type": "ALTER TABLE users ALTER COLUMN email TYPE varchar(200)",
    "default": "ALTER TABLE users ALTER COLUMN email SET DEFAULT 'x'",
    "null": "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    "constraint": "ALTER TABLE users ADD CONSTRAINT c CHECK (email <> '')",
    "constraint not validated": "ALTER TABLE users ADD CONSTRAINT c CHECK (email <> 'y') NOT VALID",
    "index": "CREATE INDEX i ON users (email)",
    "comment": "COMMENT ON TABLE users IS 'x'",
    "column comment": "COMMENT ON COLUMN users.email IS 'x'",
    "owner": "ALTER TABLE users OWNER TO pg_monitor",
    "option": "ALTER TABLE users SET (fillfactor = 50)",
    "schema": "CREATE SCHEMA attic",
    "domain": "CREATE DOMAIN d AS text CHECK (VALUE <> '')",
    "aggregate": "CREATE AGGREGATE g (int) (SFUNC = int4pl, STYPE = int)",
    "statistics": "CREATE STATISTICS s ON id, email FROM users",
    "extension": "CREATE EXTENSION pg_trgm",
    "partition": "CREATE TABLE p (a int) PARTITION BY RANGE (a)",
    "unlogged": "ALTER TABLE known_table SET UNLOGGED",
    "foreign keys not enforced": "ALTER TABLE projects DISABLE TRIGGER ALL",
    "domain of the same constraint": "ALTER DOMAIN known_a DROP CONSTRAINT positive",
    "other domain of the same constraint": "ALTER DOMAIN known_b DROP CONSTRAINT positive",
    "comment on the schema": "COMMENT ON SCHEMA public IS 'x'",
    "index comment": "COMMENT ON INDEX users_pkey IS 'x'",
    "no statistics": "ALTER TABLE users ALTER email SET STATISTICS 0",
    "toast option": "ALTER TABLE users SET (toast.autovacuum_enabled = false)",
    "emptied view": "REFRESH MATERIALIZED VIEW known_view WITH NO DATA",
    "text search": "CREATE TEXT SEARCH CONFIGURATION c (COPY = english)",
    "text search mapping": "ALTER TEXT SEARCH CONFIGURATION known DROP MAPPING FOR word",
    "dictionary": "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
    "operator class": "CREATE OPERATOR CLASS o FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int)",
    "language": "CREATE LANGUAGE l HANDLER plpgsql_call_handler",
    "access method": "CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler",
    "foreign data wrapper": "CREATE FOREIGN DATA WRAPPER w",
    "foreign server": "CREATE SERVER s FOREIGN DATA WRAPPER known",
    "user mapping": "CREATE USER MAPPING FOR postgres SERVER known OPTIONS (password 'x')",
    "foreign table": "ALTER FOREIGN TABLE known_foreign OPTIONS (ADD x 'y')",
}
KNOWN = """
    CREATE TYPE known AS ENUM ('a');
    CREATE FUNCTION known() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION known_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE TRIGGER known BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
    CREATE TABLE known_table (a int);
    CREATE DOMAIN known_a AS int CONSTRAINT positive CHECK (VALUE > 0);
    CREATE DOMAIN known_b AS int CONSTRAINT positive CHECK (VALUE > 0);
    CREATE MATERIALIZED VIEW known_view AS SELECT 1 AS one;
    CREATE TEXT SEARCH CONFIGURATION known (COPY = english);
    CREATE FOREIGN DATA WRAPPER known;
    CREATE SERVER known FOREIGN DATA WRAPPER known;
    CREATE FOREIGN TABLE known_foreign (a int) SERVER known;
"""


@pytest.fixture
def known(connection: Connection) -> Connection:
    """The reference schema and a few things more, to be changed."""
    connection.execute(KNOWN.encode())
    connection.commit()
    return connection


@pytest.mark.parametrize("change", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_whatever_is_left_behind_changes_the_fingerprint(known: Connection, change: str) -> None:
    """Each kind of object, and each property that a migration may change, counts; taken back, it does not."""
    before = fingerprint.logical(known)
    known.execute(change.encode())
    seen = fingerprint.difference(before, fingerprint.logical(known))
    assert seen
    known.rollback()
    assert fingerprint.difference(before, fingerprint.logical(known)) == []


def test_options_of_a_user_mapping_are_not_shown(known: Connection) -> None:
    """Passwords stand in them."""
    known.execute("CREATE USER MAPPING FOR postgres SERVER known OPTIONS (password 'hunter2')")
    assert "hunter2" not in str(fingerprint.logical(known).objects)


SETTINGS = {
    "time zone": "SET TimeZone = 'Asia/Tokyo'",
    "dates": "SET DateStyle = 'German'",
    "intervals": "SET IntervalStyle = 'iso_8601'",
    "floats": "SET extra_float_digits = -5",
    "bytes": "SET bytea_output = 'escape'",
    "search path": "SELECT pg_catalog.set_config('search_path', '', false)",
    "quoting": "SET quote_all_identifiers = on",
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_what_a_script_sets_in_its_session_is_no_difference(connection: Connection, change: str) -> None:
    """The comparison in the script's own session pins what text depends on, and leaves the script's settings be."""
    connection.execute(
        "CREATE TABLE t (a timestamptz DEFAULT '2024-02-03 00:00+00', b bytea DEFAULT '\\x00ff',"
        " c float8 DEFAULT 0.30000000000000004, d interval DEFAULT '1 day 2 hours', e regclass DEFAULT 'users');"
        " INSERT INTO t DEFAULT VALUES"
    )
    before = fingerprint.logical(connection), contents(connection)
    connection.execute(change.encode())
    settings = connection.execute("SELECT name, setting FROM pg_catalog.pg_settings ORDER BY 1").fetchall()
    assert (fingerprint.logical(connection), contents(connection)) == before
    assert connection.execute("SELECT name, setting FROM pg_catalog.pg_settings ORDER BY 1").fetchall() == settings


def test_the_order_of_columns_counts_in_the_strict_fingerprint_alone(connection: Connection, server: Server) -> None:
    """A column that was dropped and came back is the same schema in another physical order."""
    before = fingerprint.logical(connection), fingerprint.strict(server, "one")
    connection.execute("ALTER TABLE users DROP COLUMN name; ALTER TABLE users ADD COLUMN name text NOT NULL")
    connection.commit()
    after = fingerprint.logical(connection), fingerprint.strict(server, "one")
    assert fingerprint.difference(before[0], after[0]) == []
    assert before[1] != after[1]
    assert fingerprint.strict(server, "one") == after[1]


def test_the_history_of_migrations_can_be_left_out(connection: Connection) -> None:
    """With everything that is its own: columns, index, sequence, comments."""
    before = fingerprint.logical(connection)
    connection.execute("CREATE TABLE history (id serial PRIMARY KEY, version text UNIQUE)")
    connection.execute("COMMENT ON COLUMN history.version IS 'x'")
    connection.execute("COMMENT ON TABLE history IS 'x'; COMMENT ON INDEX history_pkey IS 'x'")
    connection.execute("COMMENT ON CONSTRAINT history_version_key ON history IS 'x'")
    assert fingerprint.difference(before, fingerprint.logical(connection, without=["public.history"])) == []
    assert fingerprint.difference(before, fingerprint.logical(connection)) != []


CHANGED_ROWS = {
    "value": "UPDATE t SET b = 'x' WHERE a = 1",
    "null": "UPDATE t SET b = NULL WHERE a = 1",
    "swapped": "UPDATE t SET b = CASE a WHEN 1 THEN 'two' ELSE 'one' END",
    "gone": "DELETE FROM t WHERE a = 1",
    "more": "INSERT INTO t VALUES (3, 'three')",
    "time": "UPDATE t SET c = c + interval '1 microsecond'",
    "columns swapped": "UPDATE t SET b = d, d = b",
    "empty is not null": "UPDATE t SET d = NULL WHERE a = 1",
}


@pytest.mark.parametrize("change", CHANGED_ROWS.values(), ids=CHANGED_ROWS)
def test_whatever_happens_to_rows_changes_the_contents(connection: Connection, change: str) -> None:
    """Counts alone would pass most of these."""
    connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text, c timestamptz DEFAULT now(), d text DEFAULT '')")
    connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    before = contents(connection)
    connection.execute(change.encode())
    after = contents(connection)
    assert after["public.t"] != before["public.t"]
    assert {**after, "public.t": None} == {**before, "public.t": None}


def test_the_order_of_rows_and_columns_does_not_count(connection: Connection) -> None:
    """Equal rows by name are equal contents."""
    connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = contents(connection)["public.t"]
    connection.execute(
        "DROP TABLE t; CREATE TABLE t (b text, a int PRIMARY KEY); INSERT INTO t VALUES ('y', 2), ('x', 1)"
    )
    assert contents(connection)["public.t"] == before
    assert (before.count, before.largest) == (2, "2")


def test_columns_on_both_sides_can_be_compared(connection: Connection) -> None:
    """A new column leaves the contents of the others as they were."""
    connection.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')")
    shared = {"public.t": {"a", "b", "gone"}}
    before = contents(connection, shared)
    connection.execute("ALTER TABLE t ADD COLUMN c int DEFAULT 7")
    assert contents(connection, shared) == before
    assert before["public.t"].columns == ("a", "b")


def test_sequences_say_where_they_are(connection: Connection) -> None:
    """One that was never used says None."""
    connection.execute("CREATE SEQUENCE s; SELECT nextval('s'), nextval('s'); CREATE SEQUENCE unused")
    found = sequences(connection)
    assert (found["public.s"], found["public.unused"]) == (2, None)
