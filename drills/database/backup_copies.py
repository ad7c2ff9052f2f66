"""A seeded database with its backups, and copies of them that something may happen to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage

from rollback.database.backup.seal import seal_file
from rollback.database.backup.signing import Keys, digest
from rollback.database.backup.verify import Verifier
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.database.backup.manifest import Manifest
    from rollback.database.backup.shelf import Backup, Shelf
    from rollback.database.server import Server
    from rollback.engine import Engine


MIGRATIONS = Path(__file__).parents[2] / "fixtures/spheroseg/packages/backend/migrations"
ROWS = """
    INSERT INTO users (id, email, name, password_hash) SELECT gen_random_uuid(), n || '@x.org', 'name ' || n, 'x'
    FROM generate_series(1, 300) n;
    INSERT INTO projects (id, user_id, name) SELECT gen_random_uuid(), id, 'p' FROM users;
    INSERT INTO system_events (source, event, release, details)
    SELECT 'drill-source', 'b', 'c', '{}' FROM generate_series(1, 200);
    CREATE ROLE reader LOGIN PASSWORD 'x'; GRANT SELECT ON users TO reader;
    ALTER DATABASE seeded SET work_mem = '7MB'; GRANT CONNECT ON DATABASE seeded TO reader;
    SELECT lo_from_bytea(0, 'a large object');
"""


@dataclass(frozen=True)
class World:
    """Backups of one seeded database: an older and a newer one in each form, and what the journal says of them."""

    server: Server
    engine: Engine
    shelf: Shelf
    journal: dict[str, str]
    identity: Path
    stranger: Path
    recipients: list[Any]
    older: dict[str, Backup]
    newer: dict[str, Backup]

    def verifier(self, shelf: Shelf, journal: dict[str, str] | None = None, identity: Path | None = None) -> Verifier:
        """Somebody who verifies backups on a shelf."""
        known = self.journal if journal is None else journal
        return Verifier(self.engine, shelf, known.get, identity=identity or self.identity)


def identity(path: Path) -> Any:
    """A new age identity in a private file; its public key."""
    key = pyrage.x25519.Identity.generate()
    path.write_text(f"# one\n{key}\n", encoding="utf-8")
    path.chmod(0o600)
    return key.to_public()


def seed(server: Server) -> None:
    """A small database of the reference schema."""
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE seeded")
    with server.connect("seeded") as session:
        for path in sorted(MIGRATIONS.glob("*.sql")):
            session.execute(path.read_bytes())
        session.execute(ROWS.encode())


@dataclass
class Case:
    """A copy of a backup that something has happened to.

    Attributes:
        journal: what the journal says; a forger may have got at it.
        full: whether the mutation can only be seen by a restore.
    """

    name: str
    kind: str
    mutate: Callable[[Copy], None]
    full: bool = False
    identity: Path | None = None


@dataclass
class Copy:
    """The copy."""

    world: World
    form: str
    backup: Backup
    journal: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.backup.folder

    def path(self, name: str) -> Path:
        """A file of the backup on the disk, by its name in the manifest."""
        return self.folder / (name + (".age" if self.form == "encrypted" and name != "manifest.json" else ""))

    def edit(self, change: Callable[[dict[str, Any]], None], keys: Keys | None, *, journal: bool = False) -> None:
        """Change the manifest and sign it with a key, or leave the signature that it had; tell the journal or not."""
        path = self.folder / "manifest.json"
        whole = json.loads(path.read_bytes())
        change(whole["body"])
        raw = (
            keys.sign("manifest", whole["body"])
            if keys
            else json.dumps(whole, sort_keys=True, indent=1).encode() + b"\n"
        )
        path.write_bytes(raw)
        if journal:
            self.journal[self.backup.id] = digest(raw)

    def match(self, body: dict[str, Any]) -> None:
        """Make the manifest agree with the files as they are now."""
        for name, said in body["files"].items():
            said["size"], said["sha256"] = self.path(name).stat().st_size, sha256(self.path(name))
            if self.form == "plain":
                said["content_size"], said["content_sha256"] = said["size"], said["sha256"]

    def replace(self, name: str, content: bytes) -> None:
        """Put other content into a file of the backup, sealed as it should be."""
        if self.form == "plain":
            self.path(name).write_bytes(content)
            return
        plain = self.folder.parent / "plain"
        plain.write_bytes(content)
        self.path(name).unlink()
        seal_file(plain, self.path(name), backup=self.backup.id, name=name, to=self.world.recipients[:1])

    def content(self, name: str) -> bytes:
        """What is in a file of the backup."""
        plain = self.world.newer["plain"].folder
        manifest = self.world.newer[self.form].manifest()
        return (
            (plain / name).read_bytes() if self.form == "plain" else opened(self.world, self.path(name), manifest, name)
        )


def opened(world: World, path: Path, manifest: Manifest, name: str) -> bytes:
    """The content of a sealed file, without its header."""
    key = pyrage.x25519.Identity.from_str(world.identity.read_text(encoding="utf-8").split()[-1])
    whole: bytes = pyrage.decrypt(path.read_bytes(), [key])
    assert manifest.id.encode() in whole
    assert name.encode() in whole
    return whole.split(b"\n", 2)[2]
