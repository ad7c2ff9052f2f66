"""What a breach is undone from: a backup and a release that are older than it, and the release that closes the hole."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rollback.database.backup.desk import Desk
from rollback.database.backup.signing import Untrue
from rollback.outcome import Refused, UsageError
from rollback.parts import files
from rollback.plan import Reading
from rollback.release import Shelf, check_name

if TYPE_CHECKING:
    from rollback.database.backup.manifest import Manifest
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Patch", "backup", "instant", "release"]


def instant(text: str) -> datetime:
    """An instant as the operator wrote it; without a zone it is UTC.

    Raises:
        UsageError: it is none, or it is yet to come.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no time.", "write it as 2025-01-31T14:00:00+01:00") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > datetime.now(UTC):
        raise UsageError(f"{text} is yet to come.", "say when the intruder came in, or what is surely before it")
    return found


def backup(deployment: Deployment, before: datetime, *, plain: bool) -> Manifest:
    """The newest backup older than an instant that is signed, proven by a restore, and sealed.

    Args:
        deployment: whose shelf.
        before: when the intruder came in.
        plain: one that is not sealed will do.

    Raises:
        Refused: there is none, with what is wrong with each.
    """
    told = []
    desk = Desk.of(deployment)
    for one in reversed(desk.shelf.all()):
        try:
            found = one.manifest()
        except Untrue as why:
            told.append(f"{one.id}: {why}")
            continue
        wrong = [*(["is younger"] if found.at >= before else []), *([] if one.proven() else ["was never proven"])]
        wrong += [] if found.encrypted or plain else ["is not sealed"]
        if not wrong:
            return found
        told.append(f"{one.id} {', '.join(wrong)}")
    raise Refused(
        f"No backup is older than {before.isoformat()}, proven and sealed: {'; '.join(told) or 'there is none'}.",
        "`rollback backup verify ID` proves one; --plain takes one that is not sealed",
    )


def release(deployment: Deployment, before: datetime, version: str | None) -> Release:
    """The recorded release whose files are the right ones: the one named, else the newest good one before an instant.

    Raises:
        Refused: there is none, it is marked bad, or it was recorded after the intruder came in.
    """
    shelf = Shelf(deployment)
    if version is not None:
        found = shelf.good(version)
        if datetime.fromisoformat(found.recorded) >= before:
            raise Refused(f"{version} was recorded after the compromise.", "name one that is older")
        return found
    for one in reversed(shelf.all()):
        if one.bad is None and datetime.fromisoformat(one.recorded) < before:
            return shelf.good(one.version)
    raise Refused("No good release was recorded before the compromise.", "`rollback release list`")


class Patch:
    """A release that was never recorded here because it never ran here: the recorded one with other images.

    Attributes:
        version: of the patched release, as its images are tagged.
    """

    def __init__(self, deployment: Deployment, over: Release, version: str) -> None:
        check_name(version)
        self.deployment, self.over, self.version = deployment, over, version
        self._said = re.compile(rf"(?m)^(\s*[A-Za-z_]\w*=)(['\"]?){re.escape(over.version)}\2\s*$")

    def possible(self) -> None:
        """Say that its images are here, and that an env file names the release.

        Raises:
            Refused: one of them is not so.
        """
        names = self.names()
        if not names:
            raise Refused(
                f"No image of {self.over.version} is tagged with its release.",
                "start the patched one by hand, then reopen",
            )
        lost = sorted(name for name, one in self.deployment.image_ids(names).items() if one is None)
        if lost:
            raise Refused(f"{', '.join(lost)} is not here.", "build or load the patched images first")
        if not self._where():
            raise Refused(f"No env file names {self.over.version}.", "start the patched release by hand, then reopen")

    def names(self) -> list[str]:
        """Its image names."""
        found = {one.name for one in self.over.images.values() if one.name.endswith(f":{self.over.version}")}
        return sorted(name.removesuffix(self.over.version) + self.version for name in found)

    def _where(self) -> list[str]:
        store, records = self.over.store, self.over.files["environment"]
        return [one.path for one in records if self._said.search((store / one.path).read_text(encoding="utf-8"))]

    def name(self) -> None:
        """Have the env files name it; the one with the hole is never gone back to."""
        for one in self._where():
            path = self.deployment.root / one
            files.write(path, self._named(path.read_text(encoding="utf-8")))
        Shelf(self.deployment).mark_bad(self.over.version, f"its hole was used, and {self.version} closes it")

    def _named(self, text: str) -> str:
        return self._said.sub(rf"\g<1>\g<2>{self.version}\g<2>", text)

    def is_named_in(self, name: str) -> bool:
        """Whether an env file is as recorded but for the release that it names."""
        live, kept = self.deployment.root / name, self.over.store / name
        if name not in self._where() or not live.is_file():
            return False
        return live.read_bytes() == self._named(kept.read_text(encoding="utf-8")).encode()

    def reading(self) -> Reading:
        """Whether the env files name it, and no rollback leads to the one with the hole."""
        lacking = [one for one in self._where() if not self.is_named_in(one)]
        if lacking:
            return Reading(holds=False, seen=f"not named in {', '.join(lacking)}")
        bad = Shelf(self.deployment).get(self.over.version).bad
        told = f"marked bad: {bad}" if bad else "not marked bad"
        return Reading(bad is not None, f"named; {self.over.version} is {told}")
