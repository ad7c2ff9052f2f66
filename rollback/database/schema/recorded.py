"""A schema as it was recorded: what makes it, by which fingerprint it is known, and its history of migrations."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database.names import parts
from rollback.database.schema import dump
from rollback.database.schema.rehearsal import schema_of
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection, Server

__all__ = ["Recorded", "history_rows", "read", "taken"]

_THERE = "SELECT to_regclass(%s) IS NOT NULL"


@dataclass(frozen=True)
class Recorded:
    """One schema, without rows but those of the history of migrations.

    Attributes:
        dump: pg_dump's text, entry by entry.
        digest: of the logical fingerprint.
        history: the rows of the history, each as JSON, by version.
        roles: that were there: grants and owners name them.
    """

    dump: str
    digest: str
    history: dict[str, str]
    roles: list[str]

    @property
    def head(self) -> str:
        """The newest migration; empty without one."""
        return max(self.history, default="")

    def as_text(self) -> str:
        """For a file; `read` reads it."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> Recorded:
    """A schema that was written as text.

    Raises:
        Refused: the file is none.
    """
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Recorded(raw["dump"], raw["digest"], raw["history"], raw["roles"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"The schema in {path.name} cannot be read: {error}.", "name another backup or release") from None


def taken(server: Server, database: str, history: str) -> Recorded:
    """The schema of a database as it is now.

    Raises:
        CommandFailed: pg_dump ended with an error.
        Refused: it changed while it was read.
    """
    with server.connect(database, autocommit=True) as session:
        before = schema_of(session).digest
        dumped = dump.text(server, database)
        if schema_of(session).digest != before:
            raise Refused("The schema changed while it was read.", "let changes of the schema end, then repeat it")
        roles = [str(row[0]) for row in session.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()]
        return Recorded(dumped, before, dict(history_rows(session, history)), roles)


def history_rows(session: Connection, history: str) -> Iterator[tuple[str, str]]:
    """The rows of the history of migrations, by version; none where there is no such table."""
    there = session.execute(_THERE, (history,)).fetchone()
    if there and there[0]:
        question = sql.SQL("SELECT version::text, to_jsonb(one)::text FROM {} one ORDER BY version")
        rows: list[Any] = session.execute(question.format(sql.Identifier(*parts(history)))).fetchall()
        yield from ((str(version), str(row)) for version, row in rows)
