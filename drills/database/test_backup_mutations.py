"""Whatever happens to a backup on its shelf, it is refused before anything is touched; the same backup unharmed passes.

The seed is fixed and printed. Besides what a disk or a careless hand does, a forger is played who has the signing
key and the journal: then only what the backup really holds speaks against it.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from rollback.database.backup.seal import seal_file
from rollback.database.backup.shelf import Backup, Shelf
from rollback.database.backup.signing import Keys, digest
from rollback.database.backup.take import Order, take
from rollback.database.backup.verify import Unproven, Verifier
from rollback.database.contents import contents
from rollback.database.scratch import scratch
from rollback.engine import Engine
from rollback.outcome import Refused
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Server

pytestmark = [pytest.mark.engine, pytest.mark.database]

IMAGE = "spheroseg-drill/db:15"
SEED = 20_260_722
AT_LEAST = 200
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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Taken once; mutations work on copies."""
    folder = tmp_path_factory.mktemp("backups")
    engine = Engine(folder)
    shelf = Shelf(folder / "shelf", Keys(folder / "signing.key"))
    mine, other = (identity(folder / name) for name in ("mine", "other"))
    with scratch(engine, IMAGE) as server:
        seed(server)
        journal: dict[str, str] = {}

        def taken(*to: Any) -> Backup:
            with shelf.held("drill"):
                return take(server, shelf, Order("seeded", recipients=list(to)), lambda m, d: journal.update({m.id: d}))

        older = {"plain": taken(), "encrypted": taken(mine)}
        newer = {"plain": taken(), "encrypted": taken(mine)}
        yield World(server, engine, shelf, journal, folder / "mine", folder / "other", [mine, other], older, newer)


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


# what can happen ------------------------------------------------------------------------------------------------


def flip(name: str, bit: int) -> Callable[[Copy], None]:
    """One bit of a file, wherever it is."""

    def mutate(copy: Copy) -> None:
        data = bytearray(copy.path(name).read_bytes())
        place = bit % (len(data) * 8)
        data[place // 8] ^= 1 << (place % 8)
        copy.path(name).write_bytes(data)

    return mutate


def cut(name: str, keep: Callable[[int], int]) -> Callable[[Copy], None]:
    """The end of a file is gone."""

    def mutate(copy: Copy) -> None:
        data = copy.path(name).read_bytes()
        copy.path(name).write_bytes(data[: keep(len(data))])

    return mutate


def lengthen(name: str) -> Callable[[Copy], None]:
    """A byte more."""

    def mutate(copy: Copy) -> None:
        copy.path(name).write_bytes(copy.path(name).read_bytes() + b"\0")

    return mutate


def gone(name: str) -> Callable[[Copy], None]:
    """A file is missing."""
    return lambda copy: copy.path(name).unlink()


def swap(one: str, other: str) -> Callable[[Copy], None]:
    """Two files in each other's place."""

    def mutate(copy: Copy) -> None:
        first, second = copy.path(one).read_bytes(), copy.path(other).read_bytes()
        copy.path(one).write_bytes(second)
        copy.path(other).write_bytes(first)

    return mutate


def linked(name: str) -> Callable[[Copy], None]:
    """A link to the same bytes elsewhere: whoever holds them can change them later."""

    def mutate(copy: Copy) -> None:
        moved = copy.folder.parent / "elsewhere"
        copy.path(name).rename(moved)
        copy.path(name).symlink_to(moved)

    return mutate


def then(
    first: Callable[[Copy], None], keys: Callable[[World], Keys | None], *, journal: bool = False
) -> Callable[[Copy], None]:
    """A mutation after which the manifest is edited to match it."""

    def mutate(copy: Copy) -> None:
        first(copy)
        copy.edit(copy.match, keys(copy.world), journal=journal)

    return mutate


def own(world: World) -> Keys:
    """The deployment's own key: a thief has it."""
    return world.shelf.keys


def unsigned(_world: World) -> None:
    """The signature stays what it was."""


def strangers(world: World) -> Keys:
    """Another deployment's key."""
    return Keys(world.stranger.with_name("stranger.key")).made()


def says(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """The manifest says something else."""

    def change(body: dict[str, Any]) -> None:
        for key in path[:-1]:
            body = body[key]
        body[path[-1]] = value(body[path[-1]]) if callable(value) else value

    return change


def edited(
    change: Callable[[dict[str, Any]], None], keys: Callable[[World], Keys | None], *, journal: bool = False
) -> Callable[[Copy], None]:
    """Only the manifest is changed."""
    return lambda copy: copy.edit(change, keys(copy.world), journal=journal)


def rows_changed(copy: Copy) -> None:
    """A row of a table in a dump that is whole otherwise."""
    name, text = next(
        (name, text)
        for name in sorted(copy.world.newer["plain"].manifest().files)
        if name.endswith(".gz") and b"7@x.org" in (text := gzip.decompress(copy.content(name)))
    )
    copy.replace(name, gzip.compress(text.replace(b"\t7@x.org", b"\t8@y.org", 1)))


def row_lost(copy: Copy) -> None:
    """One row less."""
    name, text = next(
        (name, text)
        for name in sorted(copy.world.newer["plain"].manifest().files)
        if name.endswith(".gz") and b"drill-source" in (text := gzip.decompress(copy.content(name)))
    )
    copy.replace(name, gzip.compress(text.split(b"\n", 1)[1]))


def compressed_cut(copy: Copy) -> None:
    """A table's file that ends in the middle of its compressed bytes."""
    name = biggest(copy.world)
    data = copy.content(name)
    copy.replace(name, data[: len(data) // 2])


def biggest(world: World) -> str:
    """The largest table's file."""
    files = world.newer["plain"].manifest().files
    return max((name for name in files if name.endswith(".gz")), key=lambda name: files[name].size)


def of_the_older(name: str) -> Callable[[Copy], None]:
    """A file of the backup before, in the place of its namesake."""

    def mutate(copy: Copy) -> None:
        there = copy.path(name).relative_to(copy.folder)
        shutil.copyfile(copy.world.older[copy.form].folder / there, copy.path(name))

    return mutate


def one_more(copy: Copy) -> None:
    """A file that nobody wrote."""
    (copy.folder / "dump/x.dat").write_bytes(b"x")


def whole_older(copy: Copy) -> None:
    """The backup before, under this one's name."""
    shutil.rmtree(copy.folder)
    shutil.copytree(copy.world.older[copy.form].folder, copy.folder)


# all of it ------------------------------------------------------------------------------------------------------

CUTS: dict[str, Callable[[int], int]] = {
    "0": lambda _size: 0,
    "1": lambda _size: 1,
    "half": lambda size: size // 2,
    "-8": lambda size: max(0, size - 8),
    "-1": lambda size: size - 1,
}


def cases(world: World, form: str) -> list[Case]:
    """Every mutation, the same ones in every run."""
    dice = random.Random(SEED)  # noqa: S311 -- repeatable on purpose
    names = [*sorted(world.newer[form].manifest().files), "manifest.json"]
    found = [Case(f"bit of {n}", "bit flip", flip(n, dice.getrandbits(40))) for n in names for _ in range(4)]
    found += [Case(f"{n} cut at {at}", "truncation", cut(n, keep)) for n in names for at, keep in CUTS.items()]
    found += [Case(f"{n} longer", "longer", lengthen(n)) for n in names]
    found += [Case(f"no {n}", "file missing", gone(n)) for n in names]
    found += [Case(f"{n} is a link", "link", linked(n)) for n in names[:-1]]
    pairs = [(one, other) for one in names[:-1] for other in names if one < other and differ(world, form, one, other)]
    found += [Case(f"{a} and {b}", "two swapped", swap(a, b)) for a, b in dice.sample(pairs, 12)]
    return [*found, *manifest_cases(names, dice), *forgeries(world, form)]


def differ(world: World, form: str, one: str, other: str) -> bool:
    """Two empty tables have equal files: their swap changes nothing."""
    suffix = ".age" if form == "encrypted" else ""
    first, second = (world.newer[form].folder / (n + suffix * (n != "manifest.json")) for n in (one, other))
    return sha256(first) != sha256(second)


def manifest_cases(names: list[str], dice: random.Random) -> list[Case]:
    """What can be done with a manifest."""
    found = []
    for name in names[:-1]:
        at = dice.getrandbits(40)
        found += [
            Case(f"{name} edited to match", "edited to match", then(flip(name, at), unsigned)),
            Case(f"{name} signed by another", "edited, wrong key", then(flip(name, at), strangers)),
            Case(f"{name} signed by a thief", "edited, stolen key", then(flip(name, at), own)),
        ]
    found += [Case("of the older", "stale manifest", stale), Case("whole older backup", "stale backup", whole_older)]
    found += [Case("the older's rows", "stale file", of_the_older("globals.sql"))]
    found += [Case("a file more", "file too many", one_more)]
    for key, value in (("count", 1), ("hash", "1"), ("largest", "x")):
        change = says("state", "tables", "public.users", key, value=value)
        found += [Case(f"{key} of users", "manifest edited", edited(change, unsigned))]
    change = says("files", value=lambda files: {**files, "../../x": files["globals.sql"]})
    return [*found, Case("a name that leads out", "manifest edited", edited(change, own, journal=True))]


def stale(copy: Copy) -> None:
    """The manifest of the backup before."""
    shutil.copyfile(copy.world.older[copy.form].folder / "manifest.json", copy.folder / "manifest.json")


LIES = {
    "sequence": says("state", "sequences", "public.system_events_id_seq", value=7),
    "schema": says("state", "strict", value="0" * 64),
    "grants": says("state", "acl", value=[]),
    "settings": says("state", "settings", value=lambda old: [*old, "database x=1"]),
    "roles": says("state", "roles", "reader", value="superuser"),
    "migrations": says("state", "migrations", value=lambda old: [*old, "999"]),
}


def forgeries(world: World, form: str) -> list[Case]:
    """The forger has the key and the journal: only what the backup really holds is left to speak against it."""
    toc = "dump/toc.dat"
    first, second = biggest(world), "globals.sql"
    found = [
        Case("toc cut", "forged", then(cut(toc, lambda size: size // 2), own, journal=True)),
        Case("table cut", "forged", then(compressed_cut, own, journal=True)),
        Case("two swapped", "forged", then(swap(first, second), own, journal=True), full=True),
        Case("a row changed", "forged", then(with_content(rows_changed), own, journal=True), full=True),
        Case("a row lost", "forged", then(with_content(row_lost), own, journal=True), full=True),
    ]
    for what, change in LIES.items():
        found.append(Case(what, "forged", edited(change, own, journal=True), full=True))
    if form == "encrypted":
        found += [
            Case("older's file", "forged", then(of_the_older("globals.sql"), own, journal=True)),
            Case("no identity of ours", "wrong key", lambda _copy: None, identity=world.stranger),
        ]
    return found


def with_content(mutate: Callable[[Copy], None]) -> Callable[[Copy], None]:
    """The hashes of what is inside are forged as well."""

    def both(copy: Copy) -> None:
        mutate(copy)
        if copy.form == "encrypted":
            copy.edit(lambda body: inner(copy, body), copy.world.shelf.keys)

    return both


def inner(copy: Copy, body: dict[str, Any]) -> None:
    """What the manifest says of contents, as they are now."""
    for name, said in body["files"].items():
        raw = opened(copy.world, copy.path(name), copy.world.newer[copy.form].manifest(), name)
        said["content_size"], said["content_sha256"] = len(raw), digest(raw)


def copied(world: World, form: str, where: Path) -> Copy:
    """A copy of the newer backup on a shelf of its own, and of the journal."""
    source = world.newer[form].folder
    shutil.copytree(source, where / source.name)
    return Copy(world, form, Backup(where / source.name, world.shelf.keys), dict(world.journal))


def refused_on(world: World, case: Case, copy: Copy) -> str | None:
    """The rung on which the mutation is found; None when it is not."""
    shelf = Shelf(copy.folder.parent, world.shelf.keys)
    verifier = world.verifier(shelf, copy.journal, case.identity)
    try:
        backup = shelf.get(copy.backup.id)
        _ = verifier.full(backup) if case.full else verifier.quick(backup)
    except Unproven as no:
        return no.rung
    except Refused:
        return "no backup"
    return None


@pytest.mark.parametrize("form", ["plain", "encrypted"])
def test_every_mutation_is_refused(world: World, form: str, tmp_path: Path) -> None:
    """All of them, in both forms; the live database and the backup itself are as before."""
    with world.server.connect("seeded") as live:
        before = contents(live)
    found = cases(world, form)
    seen = Counter[tuple[str, str]]()
    missed = []
    for number, case in enumerate(found):
        copy = copied(world, form, tmp_path / str(number))
        case.mutate(copy)
        rung = refused_on(world, case, copy)
        seen[case.kind, rung or "NOT FOUND"] += 1
        missed += [f"{case.kind}: {case.name}"] if rung is None else []
        shutil.rmtree(tmp_path / str(number))
    print(table(form, seen))  # noqa: T201 -- the figures of the report
    assert missed == []
    assert len(found) >= AT_LEAST
    with world.server.connect("seeded") as live:
        assert contents(live) == before


def table(form: str, seen: Counter[tuple[str, str]]) -> str:
    """Mutations by kind and by the rung that found them."""
    lines = [f"{count:5}  {kind:20} {rung}" for (kind, rung), count in sorted(seen.items())]
    return "\n".join([f"seed {SEED}, {form}: {sum(seen.values())} mutations", *lines])


@pytest.mark.parametrize("form", ["plain", "encrypted"])
def test_the_unharmed_copy_passes(world: World, form: str, tmp_path: Path) -> None:
    """Otherwise refusing everything would do."""
    copy = copied(world, form, tmp_path)
    climb = world.verifier(Shelf(tmp_path, world.shelf.keys)).full(copy.backup)
    opened = ["opened"] if form == "encrypted" else []
    assert [one.name for one in climb.rungs] == ["manifest", "files", *opened, "archive", "restored", "equal", "sound"]
