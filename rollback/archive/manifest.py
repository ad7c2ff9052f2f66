"""The manifest of a full backup: which members it has, to the byte, and what they are for."""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 -- pydantic reads the annotations when it runs
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollback.archive.container import FORMAT
from rollback.database.backup.manifest import ID, File, validated
from rollback.database.backup.signing import Untrue

__all__ = [
    "BACKUP",
    "FILES",
    "IMAGES",
    "KEY",
    "RECORDS",
    "Archive",
    "Image",
    "Records",
    "Volume",
    "parse",
    "parse_records",
]

BACKUP, FILES, IMAGES, RECORDS = "backup/", "files/", "images.tar", "files/records.json"
#: The public key that signed it, for a checkout that is gone; whoever reads it has to know its fingerprint.
KEY = "signing.pub"
_HASH = r"^[0-9a-f]{64}$"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Image(_Model):
    """An image: the engine's ID and every name that leads to it; `service` runs it."""

    service: str
    id: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    names: list[str] = Field(min_length=1)


class Volume(_Model):
    """A volume: its key in the Compose files, its name on the engine, and where a service sees it.

    Attributes:
        labels: on the engine; Compose knows its volumes by them.
        monitoring: it belongs to the monitoring stack: it goes back only where somebody asks for it.
    """

    key: str
    name: str
    service: str
    target: str
    member: str
    monitoring: bool = False
    labels: dict[str, str] = {}


class Archive(_Model):
    """The whole of it.

    Attributes:
        id: begins with the UTC time at which it was begun.
        at: UTC time of the database's snapshot: what was written later is not in it.
        project: name of the Compose project.
        backup: id of the backup of the database that is in it; its manifest is a member.
        backup_manifest: SHA-256 of that manifest.
        releases: recorded ones whose images are those that ran.
        head: the newest migration; empty without one.
        sealed: whether members are sealed; those of the backup are sealed by themselves.
    """

    format: int = Field(ge=1, le=FORMAT)
    id: str
    at: datetime = Field(strict=False)
    project: str
    backup: str
    backup_manifest: str = Field(pattern=_HASH)
    releases: list[str]
    works_with: list[str]
    head: str
    images: list[Image] = Field(min_length=1)
    volumes: list[Volume]
    sealed: bool
    by: str
    seconds: float
    members: dict[str, File] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(one.size for one in self.members.values())

    def is_sealed(self, member: str) -> bool:
        """Whether a member has to be opened; the backup's files are opened by whoever reads the backup."""
        return self.sealed and member != KEY and not member.startswith(BACKUP)


class Record(_Model):
    """A file of the checkout; see rollback.parts.files.FileRecord."""

    path: str
    sha256: str = Field(pattern=_HASH)
    mode: int = Field(ge=0, le=0o7777)
    uid: int = Field(ge=0)
    gid: int = Field(ge=0)
    link: str | None = None


class Records(_Model):
    """The files of the checkout: by group as a release has them, and where the content of each lies."""

    groups: dict[str, list[Record]]
    members: dict[str, str]


def parse(body: dict[str, Any]) -> Archive:
    """A manifest from a signed statement.

    Raises:
        Untrue: it is none; with the first key that is wrong.
    """
    found = validated(Archive, body)
    for name in (found.id, found.backup):
        if not ID.fullmatch(name):
            raise Untrue(f"{name!r} is no id of a backup")
    wrong = [one.name for one in found.volumes if not _NAME.fullmatch(one.name) or one.member not in found.members]
    if wrong:
        raise Untrue(f"{wrong[0]!r} is no volume of it")
    return found


def parse_records(raw: bytes) -> Records:
    """The list of files.

    Raises:
        Untrue: it is none, or names a place outside of the checkout.
    """
    try:
        found = Records.model_validate_json(raw)
    except ValidationError as error:
        raise Untrue(f"the list of files: {error.errors()[0]['msg']}") from None
    for group in found.groups.values():
        for one in group:
            path = PurePosixPath(one.path)
            if path.is_absolute() or ".." in path.parts or one.path != str(path) or not path.parts:
                raise Untrue(f"the file {one.path[:120]!r} would lie outside of the checkout: nothing was unpacked")
            if one.link is None and one.path not in found.members:
                raise Untrue(f"the file {one.path} has no content")
    return found
