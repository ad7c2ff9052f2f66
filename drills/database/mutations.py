"""What can happen to a backup on its shelf, by accident and by a forger; the same in every run, of one seed."""

from __future__ import annotations

import gzip
import random
import shutil
from typing import TYPE_CHECKING, Any

from drills.database.backup_copies import Case, Copy, World, opened
from rollback.database.backup.signing import Keys, digest
from rollback.parts.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable


SEED = 20_260_722


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
