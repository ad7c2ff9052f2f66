"""The manifest of a backup: what is in it, to the byte and to the row. Without one it is not a backup."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollback.database.backup.signing import Untrue

__all__ = [
    "ID",
    "NAME",
    "File",
    "Manifest",
    "State",
    "TableState",
    "Uploads",
    "new_id",
    "parse",
    "taken_at",
    "validated",
]

NAME = "manifest.json"
ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_Kind = TypeVar("_Kind", bound=BaseModel)
_STAMP = "%Y%m%dT%H%M%SZ"
_HASH = r"^[0-9a-f]{64}$"
#: What a backup may hold; a name from outside never becomes a path of its own making.
_FILE = re.compile(r"(?:dump/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Model):
    """One file: what lies on the disk, and what is in it (the same unless it is sealed). Sizes in bytes."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=_HASH)
    content_size: int = Field(ge=0)
    content_sha256: str = Field(pattern=_HASH)


class TableState(_Model):
    """What one table holds; see rollback.database.contents.Table."""

    count: int = Field(ge=0)
    hash: str
    largest: str | None
    columns: list[str]


class State(_Model):
    """What a database is, as far as a backup must bring it back.

    Attributes:
        logical: digest of the logical schema fingerprint.
        strict: digest of the strict one.
        tables: by qualified name.
        sequences: last value; None where never used. As the archive sets them: sequences know no snapshots.
        acl: grants on the database itself.
        settings: of the database and of roles in it.
        roles: name -> attributes and memberships; never a password.
        migrations: applied, oldest first.
        server: its settings, rules and databases; nothing that a restore brings back, and what a containment compares.
            None for a backup that was taken without.
    """

    logical: str = Field(pattern=_HASH)
    strict: str = Field(pattern=_HASH)
    tables: dict[str, TableState]
    sequences: dict[str, int | None]
    acl: list[str]
    settings: list[str]
    roles: dict[str, str]
    migrations: list[str]
    server: dict[str, str] | None = None


class Uploads(_Model):
    """The uploaded files that are in the backup; their hashes are in its file uploads.sha256.

    Attributes:
        count: files.
        size: bytes of the tar.
        table: where the database speaks of them, with the columns `name` and `sha256`.
        deleted: rows of the snapshot whose file was deleted together with the row while the backup was taken.
    """

    count: int = Field(ge=0)
    size: int = Field(ge=0)
    table: str
    name: str
    sha256: str
    deleted: list[str] = []


class Manifest(_Model):
    """The whole of it.

    Attributes:
        id: begins with the UTC time of the snapshot, so ids sort by age.
        database: its name.
        history: the table of applied migrations.
        system: PostgreSQL's system identifier of the cluster.
        server: version of the server.
        image: the image that the server's programs came from.
        tool: version of pg_dump.
        by: version of this package.
        encrypted: whether every file is sealed. The manifest itself is not: it tells names of tables and
            roles, counts and largest keys to whoever holds the backup.
    """

    id: str
    database: str
    history: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")
    system: str
    server: str
    image: str
    tool: str
    by: str
    encrypted: bool
    seconds: float
    state: State
    uploads: Uploads | None = None
    files: dict[str, File] = Field(min_length=1)

    @property
    def at(self) -> datetime:
        """When the snapshot was taken."""
        return taken_at(self.id)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(one.size for one in self.files.values())

    @property
    def head(self) -> str:
        """The newest migration; empty without one."""
        return self.state.migrations[-1] if self.state.migrations else ""


def new_id(now: datetime | None = None) -> str:
    """An id for a backup whose snapshot is taken now."""
    return f"{(now or datetime.now(UTC)).strftime(_STAMP)}-{secrets.token_hex(2)}"


def taken_at(backup: str) -> datetime:
    """The time in an id."""
    return datetime.strptime(backup.partition("-")[0], _STAMP).replace(tzinfo=UTC)


def validated(kind: type[_Kind], body: dict[str, Any]) -> _Kind:
    """A signed statement as what it says it is.

    Raises:
        Untrue: it is none; with the first key that is wrong.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise Untrue(f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}") from None


def parse(body: dict[str, Any]) -> Manifest:
    """A manifest from a signed statement.

    Raises:
        Untrue: it is none; with the first key that is wrong.
    """
    found = validated(Manifest, body)
    wrong = [name for name in found.files if not _FILE.fullmatch(name) or ".." in name]
    if wrong:
        raise Untrue(f"{wrong[0]!r} is no name of a file in a backup")
    if not ID.fullmatch(found.id):
        raise Untrue(f"{found.id!r} is no id of a backup")
    return found
