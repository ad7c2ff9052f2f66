r"""An SQL file is cut as psql cuts it: statements, lines, rows after COPY, `\` commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.database.migrations.script import read

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.database.migrations.script import Script


def cut(folder: Path, text: str | bytes) -> Script:
    """Read a file with that text."""
    path = folder / "001_x.sql"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, folder)


PIECES: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "two": ("SELECT 1;\nSELECT 2;\n", [(1, "SELECT 1"), (2, "SELECT 2")]),
    "no semicolon at the end": ("SELECT 1;\n\nSELECT 2", [(1, "SELECT 1"), (3, "SELECT 2")]),
    "one line": ("SELECT 1; SELECT 2;", [(1, "SELECT 1"), (1, "SELECT 2")]),
    "empty statements": (";;\n;SELECT 1;;", [(2, "SELECT 1")]),
    "comment before": ("-- a;b\n\nSELECT 1;", [(3, "SELECT 1")]),
    "comment inside": ("SELECT 1 -- ; '\n, 2;", [(1, "SELECT 1 -- ; '\n, 2")]),
    "nested comment": ("/* a /* ; */ ' ; */ SELECT 1;", [(1, "SELECT 1")]),
    "string": ("SELECT 'a;''b;';", [(1, "SELECT 'a;''b;'")]),
    "backslash in a string": ("SELECT '\\'; SELECT 2;", [(1, "SELECT '\\'"), (1, "SELECT 2")]),
    "escape string": ("SELECT E'\\';', 1;", [(1, "SELECT E'\\';', 1")]),
    "name": ('SELECT 1 AS "a;b";', [(1, 'SELECT 1 AS "a;b"')]),
    "dollar": ("DO $$ BEGIN; END $$; SELECT 1;", [(1, "DO $$ BEGIN; END $$"), (1, "SELECT 1")]),
    "dollar with tag": ("DO $a$ $b$; $$ ; $a$;", [(1, "DO $a$ $b$; $$ ; $a$")]),
    "dollar in a name": ("SELECT a$b$c FROM t; SELECT 2;", [(1, "SELECT a$b$c FROM t"), (1, "SELECT 2")]),
    "parameter": ("PREPARE p AS SELECT $1; SELECT 2;", [(1, "PREPARE p AS SELECT $1"), (1, "SELECT 2")]),
    "SQL body": (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nSELECT 3;",
        [(1, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"), (2, "SELECT 3")]),
    "rule with two actions": (
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3;",
        [(1, "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"), (1, "SELECT 3")]),
    "umlauts": ("SELECT 'äöü€𝄞'; SELECT 2;", [(1, "SELECT 'äöü€𝄞'"), (1, "SELECT 2")]),
    "CRLF": ("SELECT 1;\r\nSELECT 2;\r\n", [(1, "SELECT 1"), (2, "SELECT 2")]),
    "\\g ends": ("SELECT 1 \\g\nSELECT 2;", [(1, "SELECT 1"), (2, "SELECT 2")]),
    "\\q ends all": ("SELECT 1;\n\\q\nSELECT nonsense", [(1, "SELECT 1")]),
    "harmless commands": ("\\timing\n\\set ON_ERROR_STOP on\n\\echo it's\n\\pset pager\nSELECT 1;", [(5, "SELECT 1")]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "pieces"), PIECES.values(), ids=PIECES)
def test_statements_and_their_lines(tmp_path: Path, text: str, pieces: list[tuple[int, str]]) -> None:
    """Each piece is one statement to PostgreSQL's parser as well."""
    script = cut(tmp_path, text)
    assert [(one.line, one.text) for one in script.statements] == pieces
    assert script.complaints == []
    assert all(one.node is not None for one in script.statements)


COMPLAINTS = {
    "connect": ("SELECT 1;\n\\connect other\n", 2, "`\\connect other` is a psql command that is not followed here"),
    "shell": ("\\! rm x", 1, "`\\! rm x` is"),
    "copy": ("\\copy t from 'x'", 1, "`\\copy t"),
    "variable": ("\\set name 'x'\nSELECT :name;", 1, "`\\set name 'x'` is"),
    "condition": ("\\if true\nSELECT 1;\n\\endif", 1, "`\\if true` is"),
    "gexec": ("SELECT 'x' \\gexec", 1, "`\\gexec` inside a statement"),
    "encoding": ("\\encoding LATIN1", 1, "`\\encoding LATIN1`"),
    "string not closed": ("SELECT 1;\nSELECT 'x;\n", 2, "a quote is opened and never closed"),
    "name not closed": ('SELECT "x;', 1, "a quote is opened and never closed"),
    "dollar not closed": ("\nDO $x$ BEGIN; END;", 2, "a quote is opened and never closed"),
    "comment not closed": ("SELECT 1; /* x", 1, "a comment is opened and never closed"),
    "rows not closed": ("COPY t FROM stdin;\n1\n2\n", 2, "the rows of COPY do not end"),
    "include from outside": ("\\i ../other.sql", 1, "`\\i ../other.sql` is not in the folder"),
    "include of nothing": ("\\ir none.sql", 1, "`\\i none.sql` is not in the folder"),
    "Latin-1": (b"SELECT 1;\nSELECT '\xe4';", 2, "is not UTF-8 (byte 0xe4)"),
    "NUL": (b"SELECT 1;\n\0", 2, "holds a NUL byte"),
}


@pytest.mark.parametrize(("text", "line", "told"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_what_is_not_understood_is_told_by_line(tmp_path: Path, text: str | bytes, line: int, told: str) -> None:
    """It stands against running the file: what would be left out is perhaps what matters."""
    (tmp_path.parent / "other.sql").write_text("SELECT 1;", encoding="utf-8")
    first = cut(tmp_path, text).fatal[0]
    assert first.line == line
    assert told in first.text


NOTES = {
    "mark": (b"\xef\xbb\xbfSELECT 1;", 1, "byte order mark"),
    "empty": (b"", 0, "there is no statement in it"),
    "comments alone": (b"-- nothing\n/* more */\n", 0, "there is no statement in it"),
}


@pytest.mark.parametrize(("text", "count", "told"), NOTES.values(), ids=NOTES)
def test_what_is_odd_is_noted(tmp_path: Path, text: bytes, count: int, told: str) -> None:
    """And is run all the same."""
    script = cut(tmp_path, text)
    assert (len(script.statements), script.fatal) == (count, [])
    assert told in script.complaints[0].text


def test_rows_after_copy(tmp_path: Path) -> None:
    """They are data whatever is in them, and the lines after them count on."""
    script = cut(tmp_path, "COPY t FROM stdin;\n1;2\t'\n\\N\t--\n\\.\nSELECT 2;\n")
    assert [(one.line, one.data) for one in script.statements] == [(1, "1;2\t'\n\\N\t--\n"), (5, None)]


def test_an_included_file_is_part_of_it(tmp_path: Path) -> None:
    """In its place, with its own name and lines."""
    (tmp_path / "more.psql").write_text("\nSELECT 2;", encoding="utf-8")
    script = cut(tmp_path, "SELECT 1;\n\\i more.psql\nSELECT 3;")
    found = [(one.file, one.line, one.text) for one in script.statements]
    assert found == [("", 1, "SELECT 1"), ("more.psql", 2, "SELECT 2"), ("", 3, "SELECT 3")]


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    """With a sentence, not with the stack."""
    script = cut(tmp_path, "\\i 001_x.sql\n")
    assert "includes itself" in script.fatal[0].text


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """Between finding and reading."""
    assert "cannot be read" in read(tmp_path / "001_gone.sql", tmp_path).fatal[0].text


def test_a_statement_that_nobody_can_parse_is_kept(tmp_path: Path) -> None:
    """PostgreSQL has the last word: it may be newer than the parser."""
    (one,) = cut(tmp_path, "SELEC 1;").statements
    assert (one.text, one.node) == ("SELEC 1", None)
