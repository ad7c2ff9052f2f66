"""Schema fingerprints: what a schema is, as data that can be compared object by object.

The logical fingerprint is read from the catalogues on any open connection, so a transaction can be judged before it
commits. The strict one is the text that pg_dump makes of the schema, in which the physical order of columns counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.database.catalogue import QUESTIONS
from rollback.database.session import pinned
from rollback.engine import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Collection

    from rollback.database.server import Connection, Server

__all__ = ["LOCK_WAIT", "Difference", "Schema", "difference", "logical", "strict"]

#: How long pg_dump waits for a lock.
LOCK_WAIT = "10s"
_RESTRICT = re.compile(r"^\\(?:un)?restrict .*$\n?", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$\n?", re.MULTILINE)


@dataclass(frozen=True)
class Schema:
    """Every object of a schema: "column public.users.email" -> its definition."""

    objects: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(self.objects, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """One object that is not the same in two schemas; None stands for not there."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name} is there and was not: {_short(self.after)}"
        if self.after is None:
            return f"{self.name} is gone: {_short(self.before)}"
        return f"{self.name} is {_short(self.after)}, was {_short(self.before)}"


def _short(text: str | None) -> str:
    """A definition on one line."""
    return " ".join((text or "").split())[:200] or "(empty)"


def difference(before: Schema, after: Schema) -> list[Difference]:
    """Every object that differs, in the order of names."""
    names = sorted(before.objects.keys() | after.objects.keys())
    pairs = [(name, before.objects.get(name), after.objects.get(name)) for name in names]
    return [Difference(name, old, new) for name, old, new in pairs if old != new]


def logical(connection: Connection, *, without: Collection[str] = (), schemas: Collection[str] = ()) -> Schema:
    """Read the schema as the open transaction sees it.

    Args:
        connection: where to read; nothing is changed, and its settings are as before afterwards.
        without: tables, qualified ("public.schema_migrations"), that are left out with all that is theirs.
        schemas: schemas that are left out.
    """
    found: dict[str, str] = {}
    with pinned(connection):
        for kind, question in QUESTIONS.items():
            rows = connection.execute(question.encode(), {"without": list(schemas)}).fetchall()
            found |= {f"{kind} {name}": str(definition or "") for name, definition in rows}
    return Schema({name: text for name, text in found.items() if not _belongs(name, text, without)})


def _belongs(name: str, text: str, tables: Collection[str]) -> bool:
    """Whether an object is one of the tables, a part of one, or a comment on either."""
    kind, _, identity = name.partition(" ")
    return any(
        identity == table
        or identity.startswith(f"{table}.")
        or (kind == "sequence" and f"owned by {table}." in text)
        or (kind == "comment" and (f" {table}." in identity or identity.endswith(f" {table}")))
        for table in tables
    )


def strict(server: Server, database: str, *, snapshot: str | None = None) -> str:
    """SHA-256 of what pg_dump makes of the schema; equal only where the order of columns is equal as well.

    Args:
        server: where it is.
        database: which.
        snapshot: an exported one to read it in.

    Raises:
        CommandFailed: pg_dump ended with an error.
    """
    # behind somebody who waits for our own snapshot's locks it would wait for ever
    argv = ["pg_dump", "--schema-only", "--lock-wait-timeout", LOCK_WAIT, "--dbname", database]
    argv += ["--snapshot", snapshot] if snapshot else []
    result = server.run(argv)
    if result.code != 0:
        raise CommandFailed(f"pg_dump of the schema of {database} ended with {result.code}: {result.err.strip()}")
    # newer versions put a random key into it
    text = _COMMENT.sub("", _RESTRICT.sub("", result.out))
    return hashlib.sha256(text.encode()).hexdigest()
