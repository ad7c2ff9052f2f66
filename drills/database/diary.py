"""A migration that makes something of many kinds, and scripts that take it back wrongly."""

from __future__ import annotations

from rollback.database.expectation import Migration

MOTHER = Migration(
    "001",
    "001_mother.sql",
    """
    CREATE TABLE mother (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE child (id int PRIMARY KEY, mother_id int REFERENCES mother (id) ON DELETE CASCADE);
    INSERT INTO mother SELECT n, 'Müttér ' || n FROM generate_series(1, 50) n;
    INSERT INTO child SELECT n, n FROM generate_series(1, 50) n;
    """,
)
UP = """
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE diary (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mother_id int REFERENCES mother (id),
                        mood mood, length int GENERATED ALWAYS AS (1) STORED);
    ALTER TABLE mother ADD COLUMN seen timestamptz;
    CREATE INDEX child_mother_idx ON child (mother_id);
    GRANT SELECT ON mother TO pg_monitor;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER note BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION note();
"""
DOWN = """
    DROP TRIGGER note ON child;
    DROP FUNCTION note();
    REVOKE SELECT ON mother FROM pg_monitor;
    DROP INDEX child_mother_idx;
    ALTER TABLE mother DROP COLUMN seen;
    DROP TABLE diary;
    DROP TYPE mood;
"""


def then(more: str) -> str:
    """The right script, and something that it should not do."""
    return DOWN + more


DIARY = Migration("002", "002_diary.sql", UP, DOWN)


OTHERS = Migration(
    "002",
    "002_others.sql",
    """
    CREATE TABLE a_child (id serial PRIMARY KEY, z_id int);
    CREATE TABLE z_parent (id int PRIMARY KEY, mood text);
    ALTER TABLE a_child ADD FOREIGN KEY (z_id) REFERENCES z_parent (id);
    INSERT INTO z_parent VALUES (1, 'as seeded'), (2, 'as seeded');
    ALTER TABLE mother ADD COLUMN quota int DEFAULT 5;
    """,
    "DROP TABLE a_child; DROP TABLE z_parent; ALTER TABLE mother DROP COLUMN quota;",
)


BAD: dict[str, tuple[str, str]] = {
    "enum": (DOWN.replace("DROP TYPE mood;", ""), "left behind: type public.mood"),
    "grant": (DOWN.replace("REVOKE SELECT ON mother FROM pg_monitor;", ""), "grants pg_monitor=r/postgres"),
    "trigger": (DOWN.replace("DROP TRIGGER note ON child;\n    DROP FUNCTION note();", ""), "left behind: function"),
    "index": (DOWN.replace("DROP INDEX child_mother_idx;", ""), "left behind: index public.child.child_mother_idx"),
    "column": (DOWN.replace("ALTER TABLE mother DROP COLUMN seen;", ""), "left behind: column public.mother.seen"),
    "nothing": ("SELECT 1;", "left behind: "),
    "takes an index of the administrator": (then("DROP INDEX of_the_administrator;"), "taken too much: index"),
    "takes a foreign key": (
        then("ALTER TABLE child DROP CONSTRAINT child_mother_id_fkey;"),
        "taken too much: constraint public.child.child_mother_id_fkey",
    ),
    "takes a table": (then("DROP TABLE child;"), "taken too much: "),
    "leaves something of its own": (then("CREATE TABLE note_to_self (a int);"), "public.note_to_self"),
    "loses a row": (then("DELETE FROM mother WHERE id = 99;"), "mother has 50 rows, had 51"),
    "loses children by cascade": (then("DELETE FROM mother WHERE id = 3;"), "child has 49 rows, had 50"),
    "changes a value": (then("UPDATE mother SET name = 'x' WHERE id = 3;"), "values in public.mother are not what"),
    "swaps two values": (
        then("UPDATE child SET mother_id = 3 - mother_id WHERE mother_id IN (1, 2);"),
        "values in public.child are not what",
    ),
    "narrows": (then("ALTER TABLE mother ALTER COLUMN name TYPE varchar(200);"), "taken too much: column"),
    "truncates values": (
        then("ALTER TABLE mother ALTER COLUMN name TYPE text USING left(name, 8);"),
        "values in public.mother are not what",
    ),
    "writes a table that it never touched": (then("INSERT INTO elsewhere VALUES (7);"), "1 rows of public.elsewhere"),
    "deletes and writes again elsewhere": (
        then("DELETE FROM elsewhere WHERE id = 1; INSERT INTO elsewhere VALUES (1);"),
        "2 rows of public.elsewhere were written",
    ),
    "winds a sequence back": (then("ALTER SEQUENCE numbers RESTART WITH 1;"), "sequence public.numbers went back"),
    "strikes off another migration": (then("DELETE FROM schema_migrations WHERE version = '001';"), "takes 001 out"),
    "fails": (then("DROP TABLE no_such_table;"), 'fails: table "no_such_table" does not exist'),
    "empties with a default": (
        then("ALTER TABLE mother DROP COLUMN name; ALTER TABLE mother ADD COLUMN name text NOT NULL DEFAULT '';"),
        "public.mother",
    ),
}
