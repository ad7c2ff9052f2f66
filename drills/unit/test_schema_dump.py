"""pg_dump's text taken apart, what is said of objects turned round, and names as the catalogues quote them."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from rollback.database.names import parts
from rollback.database.schema.change import Change
from rollback.database.schema.dump import Entry, entries
from rollback.database.schema.inverse import inverse
from rollback.engine import CommandFailed

DUMP = """--
-- PostgreSQL database dump
--

\\restrict abc

SET statement_timeout = 0;

--
-- TOC entry 223 (class 1255 OID 16591)
-- Name: note(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.note() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RETURN NULL; END$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- TOC entry 215 (class 1259 OID 16543)
-- Name: Mütter; x; Type: TABLE; Schema: public; Owner: the owner
--

CREATE TABLE public."Mütter; x" (
    id bigint NOT NULL
);


--
-- TOC entry 3391 (class 0 OID 0)
-- Dependencies: 215 223
-- Name: TABLE "Mütter; x"; Type: COMMENT; Schema: public; Owner: the owner
--

COMMENT ON TABLE public."Mütter; x" IS 'one
-- more';


-- Completed on 2026-11-24 19:24:52 UTC

--
-- PostgreSQL database dump complete
--

\\unrestrict abc
"""


def test_each_object_is_an_entry_in_the_order_of_the_dump() -> None:
    """With what makes it, without what psql and the next entries are told."""
    function, table, comment = entries(DUMP)
    assert (function.kind, function.name, function.classid, function.oid) == ("FUNCTION", "note()", 1255, 16591)
    assert function.sql.endswith("$$BEGIN RETURN NULL; END$$;")
    assert table.key == ("TABLE", "public", "Mütter; x")
    assert table.sql == 'CREATE TABLE public."Mütter; x" (\n    id bigint NOT NULL\n);'
    assert (comment.needs, comment.sql) == ((215, 223), "COMMENT ON TABLE public.\"Mütter; x\" IS 'one\n-- more';")


def test_a_dump_that_was_cut_off_is_none() -> None:
    """Its end says that it is whole."""
    with pytest.raises(CommandFailed, match="no whole dump"):
        entries(DUMP[: len(DUMP) // 2])


def said(kind: str, sql: str) -> Entry:
    """One entry."""
    return Entry(kind, "public", "x", sql, 1, (), 0, 0)


TURNED = {
    "a comment": (
        "COMMENT ON COLUMN public.t.c IS 'x';",
        ["COMMENT ON COLUMN public.t.c IS NULL;"],
    ),
    "grants, the last first": (
        "REVOKE ALL ON FUNCTION public.f() FROM PUBLIC;\nGRANT ALL ON FUNCTION public.f() TO app;",
        [
            "REVOKE ALL PRIVILEGES ON FUNCTION public.f() FROM app;",
            "GRANT ALL PRIVILEGES ON FUNCTION public.f() TO PUBLIC;",
        ],
    ),
    "a grant of a column with its option": (
        "GRANT SELECT(n) ON TABLE public.t TO app WITH GRANT OPTION;",
        ["REVOKE select (n) ON TABLE public.t FROM app;"],
    ),
    "row security": (
        "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;",
        ["ALTER TABLE public.t DISABLE ROW LEVEL SECURITY;"],
    ),
}


@pytest.mark.parametrize(("sql", "turned"), TURNED.values(), ids=TURNED)
def test_what_was_said_is_taken_back(sql: str, turned: list[str]) -> None:
    """As if it had not been said."""
    assert [*map(folded, inverse(said("ACL", sql)))] == [*map(folded, turned)]


def folded(sql: str) -> str:
    """Without what only looks otherwise."""
    return "".join(sql.lower().split())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("public.users", ("public", "users")),
        ('public."a.b"', ("public", "a.b")),
        ('"Mütter x"."na ""me"', ("Mütter x", 'na "me')),
    ],
)
def test_a_quoted_name_gives_its_words(name: str, words: tuple[str, ...]) -> None:
    """Dots and quotes within them are theirs."""
    assert parts(name) == words


def test_a_change_comes_back_from_the_journal_as_it_was() -> None:
    """JSON knows no tuples."""
    change = Change(["A;"], retyped=[("public.t", "c", "int", "text")], keys={"public.t": ["id"]})
    assert Change.of(json.loads(json.dumps(asdict(change)))) == change
