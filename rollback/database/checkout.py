"""The migrations of the checkout: numbered SQL files, and the scripts that take them back."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from rollback.database.expectation import Migration
from rollback.database.migrations.find import find
from rollback.database.script import plain
from rollback.outcome import Refused

if TYPE_CHECKING:
    from rollback.database.migrations.find import Migration as Found
    from rollback.deployment import Deployment

__all__ = ["applied", "migrations", "to_take_back"]

_VERSION = re.compile(r"\d+")


def migrations(deployment: Deployment) -> list[Migration]:
    """All migrations, oldest first, each with its rollback script where there is one.

    Raises:
        UsageError: there is no such folder, or no migration in it.
        Refused: two files share a number: which one was applied cannot be told.
    """
    table, root = deployment.settings.migrations, deployment.root
    scripts = root / table.rollbacks
    found = find(root / table.folder, scripts if scripts.is_dir() else None)
    known = [_read(one) for one in found.migrations]
    versions = [one.version for one in known]
    twice = sorted({one for one in versions if versions.count(one) > 1})
    if twice:
        raise Refused(f"Two migrations share the number {', '.join(twice)}.", "give each file a number of its own")
    return known


def _read(one: Found) -> Migration:
    """As the history names it: by the digits that its file begins with."""
    digits = _VERSION.search(one.path.name)
    version = digits[0] if digits else one.path.stem
    down = one.rollback.read_text(encoding="utf-8-sig") if one.rollback else ""
    return Migration(version, one.path.name, plain(one.path), down, one.path, one.rollback)


def applied(deployment: Deployment) -> list[Migration]:
    """The applied migrations, oldest first, as the checkout has them.

    Raises:
        Refused: one that was applied is not in the checkout, or is not the file that was applied.
    """
    here = {one.version: one for one in migrations(deployment)}
    history = deployment.migrations()
    lost = [version for version in history if version not in here]
    if lost:
        folder = deployment.settings.migrations.folder
        raise Refused(
            f"The database has migration {', '.join(lost)}, which {folder} does not hold.",
            "check out the release that brought it: its rollback script is there too",
        )
    changed = [
        version
        for version, digest in _digests(deployment).items()
        if version in here and digest != _digest(here[version])
    ]
    if changed:
        raise Refused(
            f"The file of migration {', '.join(changed)} is not the one that was applied.",
            "check out the release that brought it",
        )
    return [here[version] for version in history]


def _digest(one: Migration) -> str:
    return hashlib.sha256(one.path.read_bytes() if one.path else one.up.encode()).hexdigest()


def _digests(deployment: Deployment) -> dict[str, str]:
    """The recorded checksums, where the history keeps any."""
    table = deployment.settings.database.history
    there = deployment.sql(
        f"SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = 'checksum'"  # noqa: S608 -- name validated by a pattern
    )
    if there != "1":
        return {}
    rows = deployment.sql(f"SELECT version, checksum FROM {table}").splitlines()  # noqa: S608 -- same
    return dict(row.split("|", 1) for row in rows if "|" in row)


def to_take_back(there: list[Migration], versions: list[str], steps: int) -> list[Migration]:
    """The migrations to take back, newest first: those named, or as many as `steps`.

    Args:
        there: the applied ones, oldest first.
        versions: named newest first, without a gap: what came later may stand on what came before.
        steps: how many, where none is named.

    Raises:
        Refused: not applied, out of order, not so many, or one has no rollback script.
    """
    newest = list(reversed(there))
    count = len(versions) or steps
    wanted = versions or [one.version for one in newest[:count]]
    strange = [one for one in wanted if one not in {here.version for here in there}]
    if strange or count > len(newest):
        known = ", ".join(one.version for one in newest) or "none"
        raise Refused(
            f"Not applied: {', '.join(strange) or f'{count} migrations'}; applied: {known}.", "name one of them"
        )
    chosen = newest[:count]
    if [one.version for one in chosen] != wanted:
        raise Refused(
            f"{', '.join(wanted)} cannot be taken back now: the newest applied are"
            f" {', '.join(one.version for one in newest[: count + 1])}, and later ones may stand on earlier ones.",
            "name them newest first without a gap, or say --steps N",
        )
    _with_scripts(chosen)
    return chosen


def _with_scripts(chosen: list[Migration]) -> None:
    bare = [one.name for one in chosen if not one.down]
    if bare:
        raise Refused(
            f"{', '.join(bare)} has no rollback script.",
            "write one (NAME_rollback.sql beside it or in the folder of rollbacks), or restore the database",
        )
