"""The script that takes a migration back, read before it runs: what no proof can make good is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pglast import ast

from rollback.database.migrations.gate import DANGER, findings
from rollback.database.migrations.script import read
from rollback.outcome import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.database.migrations.script import Script

__all__ = ["runnable"]

_CONCURRENTLY = re.compile(r"\bconcurrently\b", re.IGNORECASE)


def runnable(up: Path, down: Path) -> str:
    """The SQL of a rollback script as one transaction can run it: without psql's commands and without CONCURRENTLY.

    No transaction allows CONCURRENTLY, and none is needed behind locks that are given up soon.

    Args:
        up: the migration.
        down: the script.

    Raises:
        Refused: it is not SQL, holds a psql command that is not followed, or a statement that may do what nobody
            asked for; all of it is named, by line.
    """
    script = read(down, down.parent)
    wrong = [str(one) for one in script.fatal]
    wrong += [f"line {one.line}: not SQL" for one in script.statements if one.node is None]
    wrong += [f"line {one.line}: rows of COPY" for one in script.statements if one.data is not None]
    wrong += [str(one) for one in findings(script, read(up, up.parent)) if one.severity == DANGER]
    if wrong:
        raise Refused(
            f"{down.name} holds what no proof can make good: {'; '.join(wrong)}.",
            "write it so that each object and row is named",
        )
    return _joined(script)


def _joined(script: Script) -> str:
    return "".join(f"{_plain(one.text, one.node)};\n" for one in script.statements)


def _plain(text: str, node: Any) -> str:
    """Without the first CONCURRENTLY, which in these statements is never a name."""
    concurrent = isinstance(node, ast.DropStmt | ast.IndexStmt) and bool(node.concurrent)
    return _CONCURRENTLY.sub("", text, count=1) if concurrent else text
