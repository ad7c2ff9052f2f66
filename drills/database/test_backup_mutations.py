"""Whatever happens to a backup on its shelf, it is refused before anything is touched; the same backup unharmed passes.

The seed is fixed and printed. Besides what a disk or a careless hand does, a forger is played who has the signing
key and the journal: then only what the backup really holds speaks against it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from drills.database.backup_copies import Case, Copy, World, identity, seed
from drills.database.mutations import SEED, cases
from drills.database.servers import IMAGE
from rollback.database.backup.shelf import Backup, Shelf
from rollback.database.backup.signing import Keys
from rollback.database.backup.take import Order, take
from rollback.database.backup.verify import Unproven
from rollback.database.contents import contents
from rollback.database.scratch import scratch
from rollback.engine import Engine
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.engine, pytest.mark.database]

AT_LEAST = 200


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
