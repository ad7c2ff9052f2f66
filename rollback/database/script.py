"""What a rollback script says, read before it runs: statements that no proof can make good (RUNBOOK, Database)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pglast
from pglast import ast
from pglast.enums import DropBehavior, ObjectType, TransactionStmtKind
from pglast.parser import ParseError
from pglast.visitors import Visitor

from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Danger", "Script"]

#: psql's own commands, which no server understands.
_META = re.compile(r"^[ \t]*\\(\S+).*$", re.MULTILINE)
_HARMLESS_META = {"timing", "echo", "set", "pset", "x", "q", "unset", "qecho", "prompt"}


@dataclass(frozen=True)
class Danger:
    """One statement that is not allowed in a rollback script.

    Attributes:
        line: in the script, from 1.
        what: the statement.
        why: what it may do that nobody asked for.
    """

    line: int
    what: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what} ({self.why})"


@dataclass(frozen=True)
class Script:
    """One SQL script of the team.

    Attributes:
        name: its file, for people.
        text: as written.
    """

    name: str
    text: str

    def runnable(self) -> str:
        """The SQL without psql's own commands and without CONCURRENTLY, which no transaction allows.

        Raises:
            Refused: it is no SQL, or holds a psql command that changes what is run.
        """
        plain = self._plain()
        edits = [self._without_concurrently(one, plain) for one in self._statements() if _is_concurrent(one.stmt)]
        for start, end, text in sorted(edits, reverse=True):
            plain = plain[:start] + text + plain[end:]
        return plain

    def dangers(self) -> list[Danger]:
        """Every statement that is refused, in order of lines."""
        found = [_Dangers(self._line).of(one) for one in self._statements()]
        return [danger for some in found for danger in some]

    def _plain(self) -> str:
        for match in _META.finditer(self.text):
            if match[1].lower() not in _HARMLESS_META:
                line = self.text.count("\n", 0, match.start()) + 1
                raise Refused(f"{self.name}, line {line}: psql's \\{match[1]} is not understood.", "write plain SQL")
        # blanks of equal length keep every position
        return _META.sub(lambda match: " " * len(match[0]), self.text).replace("\r\n", " \n")

    def _statements(self) -> list[Any]:
        try:
            return list(pglast.parse_sql(self._plain()))
        except ParseError as error:
            said = error.args[0] if error.args else "not SQL"
            where = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
            raise Refused(f"{self.name}, line {self._line(where)}: {said}.", "mend the script") from None

    def _line(self, position: int) -> int:
        plain = self._plain().encode()[:position].decode(errors="replace")
        rest = self._plain()[len(plain) :]
        # a statement begins at its first word, after comments and blank lines
        skipped = re.match(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", rest, re.DOTALL)
        return (plain + (skipped[0] if skipped else "")).count("\n") + 1

    def _without_concurrently(self, one: Any, plain: str) -> tuple[int, int, str]:
        raw = plain.encode()
        start = len(raw[: one.stmt_location].decode())
        end = len(raw[: one.stmt_location + (one.stmt_len or len(raw) - one.stmt_location)].decode())
        return start, end, re.sub(r"\bconcurrently\b", "", plain[start:end], count=1, flags=re.IGNORECASE)


def _is_concurrent(statement: Any) -> bool:
    return isinstance(statement, ast.DropStmt | ast.IndexStmt) and bool(statement.concurrent)


class _Dangers(Visitor):
    """Walks one statement, functions and rules inside it included as far as they are SQL."""

    def __init__(self, line: Callable[[int], int]) -> None:
        self._line_of = line
        self._line = 0
        self.found: list[Danger] = []

    def of(self, raw: Any) -> list[Danger]:
        """The dangers of one statement."""
        self._line = self._line_of(raw.stmt_location)
        self(raw.stmt)
        return self.found

    def _add(self, what: str, why: str) -> None:
        self.found.append(Danger(self._line, what, why))

    def visit_DropStmt(self, _: Any, node: Any) -> None:  # noqa: N802 -- the library's name
        """DROP ... CASCADE takes what nobody named."""
        if node.behavior == DropBehavior.DROP_CASCADE:
            self._add("DROP ... CASCADE", "takes objects along that nobody named")
        if node.removeType in (ObjectType.OBJECT_SCHEMA, ObjectType.OBJECT_EXTENSION):
            self._add("DROP SCHEMA or EXTENSION", "takes everything in it along")

    def visit_AlterTableCmd(self, _: Any, node: Any) -> None:  # noqa: N802
        """ALTER TABLE ... DROP ... CASCADE."""
        if node.behavior == DropBehavior.DROP_CASCADE:
            self._add("ALTER TABLE ... CASCADE", "takes objects along that nobody named")

    def visit_TruncateStmt(self, _: Any, __: Any) -> None:  # noqa: N802
        """TRUNCATE is no undo."""
        self._add("TRUNCATE", "deletes every row, those written since included")

    def visit_DeleteStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        """DELETE without WHERE."""
        if node.whereClause is None:
            self._add("DELETE without WHERE", "deletes every row")

    def visit_UpdateStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        """UPDATE without WHERE."""
        if node.whereClause is None:
            self._add("UPDATE without WHERE", "changes every row")

    def visit_TransactionStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        """Transaction control takes the proof out of our hands."""
        self._add(TransactionStmtKind(node.kind).name.removeprefix("TRANS_STMT_"), "ends the transaction of the proof")

    def visit_DoStmt(self, _: Any, __: Any) -> None:  # noqa: N802
        """DO hides statements."""
        self._add("DO", "what it does cannot be read beforehand")

    def visit_CopyStmt(self, _: Any, __: Any) -> None:  # noqa: N802
        """COPY reads or writes files, or a stream that is not here."""
        self._add("COPY", "needs data that is not in the script")

    def visit_AlterSystemStmt(self, _: Any, __: Any) -> None:  # noqa: N802
        """ALTER SYSTEM changes the server."""
        self._add("ALTER SYSTEM", "changes the whole server")
