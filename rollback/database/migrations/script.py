r"""An SQL file as psql reads it: statements with their lines, `\` commands, data of COPY.

PostgreSQL's own parser knows no `\timing` and no rows after COPY, so the file is cut here by psql's rules (strings,
dollar quotes, comments, parentheses) and each piece is given to the parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pglast
from pglast import ast
from pglast.parser import ParseError

from rollback.database.migrations.find import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Complaint", "Script", "Statement", "read", "walk"]

#: They change what is shown and nothing that is done.
_HARMLESS = frozenset(
    {"timing", "echo", "qecho", "warn", "pset", "x", "a", "t", "h", "r", "p", "unset", "restrict", "unrestrict"}
)
#: Variables of psql itself; any other is pasted into statements, which is not followed here.
_KNOWN_VARIABLES = frozenset({
    "ON_ERROR_STOP", "ON_ERROR_ROLLBACK", "QUIET", "ECHO", "ECHO_HIDDEN", "VERBOSITY", "SHOW_CONTEXT",
    "FETCH_COUNT", "HIDE_TABLEAM", "HIDE_TOAST_COMPRESSION", "HISTFILE", "HISTSIZE", "COMP_KEYWORD_CASE",
})  # fmt: skip
_INCLUDE = frozenset({"i", "ir", "include", "include_relative"})
_UTF8 = frozenset({"utf8", "utf-8", "unicode"})
_DEEPEST = 8

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*) | (?P<block>/\*) | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*') | (?P<string>'[^']*')
    | (?P<name>"[^"]*") | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<end>;) | (?P<open>\() | (?P<close>\)) | (?P<meta>\\[^\n]*) | (?P<space>\s+) | (?P<word>[\w$]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        text: as it is sent, without the semicolon.
        line: where it begins, from 1.
        node: what PostgreSQL's parser makes of it; None when it makes nothing of it.
        data: the rows that follow COPY ... FROM STDIN.
        file: the name of the file that it stands in.
    """

    text: str
    line: int
    node: Any = field(compare=False, repr=False)
    data: str | None = None
    file: str = ""

    @property
    def kind(self) -> str:
        """What it is: its first words, in capitals."""
        words = re.sub(r"--[^\n]*|/\*.*?\*/", " ", self.text, flags=re.DOTALL).split()
        many = 2 if words and words[0].upper() in ("CREATE", "DROP", "ALTER", "COMMENT", "REFRESH") else 1
        return " ".join(words[:many]).upper()


@dataclass(frozen=True)
class Complaint:
    """What was not understood. With `fatal` the file cannot be run as it is meant."""

    line: int
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True)
class Script:
    """A file that was read."""

    path: Path
    statements: list[Statement]
    complaints: list[Complaint]

    @property
    def fatal(self) -> list[Complaint]:
        """What stands against running it."""
        return [one for one in self.complaints if one.fatal]


def read(path: Path, root: Path) -> Script:
    r"""Read a file and what it includes by `\i` from within `root`; nothing is executed, nothing raised."""
    script = Script(path, [], [])
    _Reader(script, path, root, depth=0).read()
    if not script.statements and not script.fatal:
        script.complaints.append(Complaint(1, "there is no statement in it", fatal=False))
    return script


class _Reader:
    """Cuts one file."""

    def __init__(self, script: Script, path: Path, root: Path, *, depth: int) -> None:
        self.script, self.path, self.root, self.depth = script, path, root, depth
        self.text = ""
        self.at, self.parentheses = 0, 0
        self.first: int | None = None  # where the statement's first word stands
        self.over = False

    def read(self) -> None:
        self.text = self._decoded()
        while self.at < len(self.text) and not self.over:
            token = _TOKEN.match(self.text, self.at)
            assert token  # noqa: S101 -- its last alternative takes any character
            self._take(token)
        if not self.over:
            self._statement(self.at)

    def _decoded(self) -> str:
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            self._complain(1, f"cannot be read: {error.strerror}")
            return ""
        if raw.startswith(b"\xef\xbb\xbf"):
            self._complain(1, "begins with a byte order mark; it was left out", fatal=False)
            raw = raw[3:]
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self._complain(line, f"is not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8")
            return ""
        if "\0" in text:
            self._complain(text.count("\n", 0, text.index("\0")) + 1, "holds a NUL byte")
            return ""
        return text

    def _take(self, token: re.Match[str]) -> None:
        kind, start, self.at = token.lastgroup, token.start(), token.end()
        if kind == "tag":
            kind = "dollar"
        if self.first is None and kind not in ("comment", "block", "space", "end", "meta"):
            self.first = start
        if kind == "block":
            self._skip_block(start)
        elif kind == "meta":
            self._meta(token, start)
        elif kind == "open":
            self.parentheses += 1
        elif kind == "close":
            self.parentheses = max(0, self.parentheses - 1)
        elif kind == "end" and not self.parentheses:
            self._statement(start)
        elif kind == "word" and token[0][0] in "'\"$":
            self._unclosed(token[0][0], start)

    def _unclosed(self, mark: str, start: int) -> None:
        if mark != "$" or _DOLLAR.match(self.text, start):
            self._complain(self._line(start), "a quote is opened and never closed")
            self.at, self.first = len(self.text), None

    def _skip_block(self, start: int) -> None:
        """Comments nest."""
        depth = 0
        for mark in re.finditer(r"/\*|\*/", self.text[start:]):
            depth += 1 if mark[0] == "/*" else -1
            if not depth:
                self.at = start + mark.end()
                return
        self._complain(self._line(start), "a comment is opened and never closed")
        self.at, self.first = len(self.text), None

    def _line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def _complain(self, line: int, text: str, *, fatal: bool = True) -> None:
        where = f"{shown(self.path)}: " if self.depth else ""
        self.script.complaints.append(Complaint(line, where + text, fatal))

    def _statement(self, end: int) -> None:
        """What stands between the last end and this one."""
        if self.first is None:
            return
        text = self.text[self.first : end]
        node, more = _parsed(text)
        if more and _ATOMIC.search(text) and end < len(self.text):
            return  # a function body in SQL: its semicolons are its own
        line = self._line(self.first)
        data = self._data() if isinstance(node, ast.CopyStmt) and _from_client(node) else None
        name = self.path.name if self.depth else ""
        self.script.statements.append(Statement(text.rstrip(), line, node, data, name))
        self.first, self.parentheses = None, 0

    def _data(self) -> str:
        r"""The rows after COPY ... FROM STDIN, up to the line `\.`."""
        start = self.text.find("\n", self.at) + 1 or len(self.text)
        end = re.compile(r"^\\\.\r?$\n?", re.MULTILINE).search(self.text, start)
        if not end:
            self._complain(self._line(start), r"the rows of COPY do not end: a line `\.` is missing")
        self.at = end.end() if end else len(self.text)
        return self.text[start : end.start() if end else len(self.text)]

    def _meta(self, token: re.Match[str], start: int) -> None:
        words = token[0][1:].strip().split()
        name, rest = (words[0], words[1:]) if words else ("", [])
        if name == "g" and not rest:
            self._statement(start)
        elif self.first is not None:
            self._complain(self._line(start), f"`\\{name}` inside a statement is not followed here")
        else:
            self._command(name, rest, self._line(start))

    def _command(self, name: str, rest: list[str], line: int) -> None:
        if name == "q":
            self.over = True
        elif name in _INCLUDE and len(rest) == 1:
            self._include(rest[0].strip("'"), line)
        elif not (
            name in _HARMLESS
            or (name == "set" and (not rest or rest[0] in _KNOWN_VARIABLES))
            or (name == "encoding" and rest and rest[0].strip("'").lower() in _UTF8)
        ):
            told = " ".join(("\\" + name, *rest))
            self._complain(line, f"`{told}` is a psql command that is not followed here")

    def _include(self, name: str, line: int) -> None:
        root = self.root.resolve()
        there = [one for one in ((self.path.parent / name).resolve(), (root / name).resolve()) if one.is_file()]
        inside = [one for one in there if one.is_relative_to(root)]
        if not inside or self.depth >= _DEEPEST:
            why = "is not in the folder" if not inside else "includes itself"
            self._complain(line, f"`\\i {name}` {why}")
            return
        _Reader(self.script, inside[0], self.root, depth=self.depth + 1).read()


def _from_client(node: ast.CopyStmt) -> bool:
    return bool(node.is_from and node.filename is None and not node.is_program)


def _parsed(text: str) -> tuple[Any, bool]:
    """The statement's node, and whether it is no whole statement."""
    try:
        parsed = pglast.parse_sql(text)
    except (ParseError, RecursionError):
        return None, True
    return (parsed[0].stmt, False) if parsed else (None, False)


def walk(node: Any) -> Iterator[Any]:
    """A node and everything below it."""
    if isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from walk(getattr(node, name))
    elif isinstance(node, tuple | list):
        for one in node:
            yield from walk(one)
