"""Releases: what ran, proven and recorded, so that it can be put back part by part."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands, look
from rollback.containment.keyring import Revoked
from rollback.outcome import Refused, UsageError
from rollback.parts import files, images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rollback.database.schema.recorded import Recorded
    from rollback.deployment import Deployment

__all__ = [
    "LAST_GOOD",
    "SCHEMA",
    "Release",
    "SchemaRecord",
    "Shelf",
    "check_name",
    "env_files",
    "groups",
    "nothing_revoked",
]

LAST_GOOD = "last-good"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
_MANIFEST = "manifest.json"
#: The database's schema, as `rollback schema` brings it back.
SCHEMA = "schema.json"
_BAD = "bad.json"


@dataclass(frozen=True)
class SchemaRecord:
    """The schema that a release was recorded with: its file beside the manifest.

    Attributes:
        sha256: of the file.
        digest: of the logical fingerprint.
    """

    sha256: str
    digest: str


@dataclass(frozen=True)
class Release:
    """A recorded release.

    Attributes:
        recorded: UTC, ISO 8601.
        images: by role.
        files: group ("environment", "compose", "nginx", "certificates", "monitoring") -> records.
        migration_head: the newest applied migration when it was recorded.
        migrations: all applied migrations then, oldest first.
        works_with: the migration heads that its backend states it can work with.
        schema: the database's schema then; None for a release that was recorded without one.
        live: the checkout, for a target of which only some parts go back: what is not among its files stays as it is
            there.
        commit: git commit of the checkout when it was recorded; None outside a git checkout.
        bad: why it must not be chosen any more; None for a good one.
    """

    version: str
    recorded: str
    folder: Path
    images: dict[str, images.ImageRecord]
    files: dict[str, list[files.FileRecord]]
    migration_head: str
    migrations: list[str]
    works_with: list[str]
    commit: str | None
    bad: str | None
    schema: SchemaRecord | None = None
    live: Path | None = None

    def kept(self, name: str) -> Path:
        """The copy of a file; of one that does not go back the file itself."""
        recorded = any(one.path == name for group in self.files.values() for one in group)
        return self.live / name if self.live is not None and not recorded else self.store / name

    @property
    def store(self) -> Path:
        """Where the copies of its files lie."""
        return self.folder / "files"

    def as_json(self) -> dict[str, Any]:
        """The manifest; the bad mark is kept apart so that the manifest never changes by it."""
        return {
            "version": self.version,
            "recorded": self.recorded,
            "images": {role: one.as_json() for role, one in self.images.items()},
            "files": {group: [one.as_json() for one in some] for group, some in self.files.items()},
            "migration_head": self.migration_head,
            "migrations": self.migrations,
            "works_with": self.works_with,
            "commit": self.commit,
            "schema": asdict(self.schema) if self.schema else None,
        }

    @classmethod
    def read(cls, folder: Path) -> Release:
        """Read one from its folder.

        Raises:
            Refused: when the manifest cannot be read.
        """
        try:
            raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            mark = folder / _BAD
            bad = json.loads(mark.read_text(encoding="utf-8"))["reason"] if mark.exists() else None
            return cls(
                version=raw["version"],
                recorded=raw["recorded"],
                folder=folder,
                images={role: images.ImageRecord(**one) for role, one in raw["images"].items()},
                files={group: [files.FileRecord(**one) for one in some] for group, some in raw["files"].items()},
                migration_head=raw["migration_head"],
                migrations=raw["migrations"],
                works_with=raw["works_with"],
                commit=raw["commit"],
                bad=bad,
                schema=SchemaRecord(**raw["schema"]) if raw.get("schema") else None,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(
                f"The manifest of {folder.name} cannot be read: {error}.", "record the release again"
            ) from None


@dataclass(frozen=True)
class Shelf:
    """All recorded releases of one deployment."""

    deployment: Deployment

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.deployment.state / "releases"

    def all(self) -> list[Release]:
        """Every recorded release, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [Release.read(one) for one in self.folder.iterdir() if not one.name.startswith(".")]
        return sorted(found, key=lambda one: one.recorded)

    def get(self, version: str) -> Release:
        """A release by its version, good or bad.

        Raises:
            Refused: when there is none; it says which there are.
        """
        check_name(version)
        if not (self.folder / version).is_dir():
            known = ", ".join(one.version for one in self.all()) or "none"
            raise Refused(f"There is no recorded release {version}; recorded: {known}.", "`rollback release list`")
        return Release.read(self.folder / version)

    def good(self, version: str) -> Release:
        """A release that may be a target.

        Raises:
            Refused: unknown, marked bad, or with damaged copies of its files.
        """
        release = self.get(version)
        if release.bad is not None:
            raise Refused(f"{release.version} is marked bad: {release.bad}.", "choose another: `rollback release list`")
        return self.whole(version)

    def whole(self, version: str) -> Release:
        """A release of which every file is as recorded, and none holds what was revoked; good or bad.

        Raises:
            Refused: unknown, with damaged copies of its files, or with a revoked secret.
        """
        release = self.get(version)
        for group in release.files.values():
            files.verify_store(group, release.store)
        nothing_revoked(self.deployment, release.version, release.files, release.store)
        return release

    def last_good(self, differs: Callable[[Release], bool]) -> Release:
        """The newest good release that is not what runs now.

        Args:
            differs: whether anything that runs, or lies in the checkout, is not as in a release.

        Raises:
            Refused: there is none.
        """
        for release in reversed(self.all()):
            if release.bad is None and differs(release):
                return self.good(release.version)
        raise Refused("There is no good release beside the one that runs.", "`rollback release list`")

    def free(self, version: str) -> None:
        """Say that a release can be recorded under this name.

        Raises:
            UsageError: it is no name.
            Refused: it is taken.
        """
        check_name(version)
        if (self.folder / version).exists():
            raise Refused(f"{version} is recorded already.", "record under another name; a release never changes")

    def record(
        self, version: str, identities: dict[str, str], works_with: list[str], schema: Recorded | None = None
    ) -> Release:
        """Capture what runs now as a release; the folder appears whole or not at all.

        Raises:
            Refused: when the version is taken: a release never changes once recorded.
        """
        self.free(version)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as new:
            release = self.capture(version, Path(new), identities, works_with)
            if schema is not None:
                files.write(Path(new) / SCHEMA, schema.as_text(), mode=0o600)
                release = replace(release, schema=SchemaRecord(files.sha256(Path(new) / SCHEMA), schema.digest))
            write_manifest(release)
            (Path(new)).rename(self.folder / version)
            Path(new).mkdir()  # what the context manager removes
        return Release.read(self.folder / version)

    def capture(self, version: str, folder: Path, identities: dict[str, str], works_with: list[str]) -> Release:
        """Copy the parts of what runs now into a folder and describe them."""
        migrations = self.deployment.migrations()
        store, parts = folder / "files", groups(self.deployment)
        return Release(
            version=version,
            recorded=datetime.now(UTC).isoformat(timespec="milliseconds"),
            folder=folder,
            images=self._images(version, identities),
            files={name: files.capture(self.deployment.root, paths, store) for name, paths in parts.items()},
            migration_head=migrations[-1] if migrations else "",
            migrations=migrations,
            works_with=works_with or migrations[-1:],
            commit=self._commit(),
            bad=None,
        )

    def _images(self, version: str, identities: dict[str, str]) -> dict[str, images.ImageRecord]:
        config, table, found = self.deployment.config(self.deployment.compose), self.deployment.settings.services, {}
        with look.shared():
            there = {role: self.deployment.serving(service.service) for role, service in table.items()}
        for role, service in table.items():
            running = there[role]
            if not running:
                raise Refused(f"The service `{service.service}` has no container to record.", "deploy it first")
            name = self.deployment.image_name(config, service.service)
            kept = images.keep_name(self.deployment.project, service.service, version)
            images.keep(self.deployment, running[0].image, kept)
            identity = identities.get(role, "")
            found[role] = images.ImageRecord(role, service.service, running[0].image, name, kept, identity)
        return found

    def _commit(self) -> str | None:
        result = self.deployment.engine.run(commands.git(self.deployment.root, "rev-parse", "HEAD"))
        return result.out.strip() if result.code == 0 else None

    def mark_bad(self, version: str, reason: str) -> Release:
        """Never choose this release again; the reason is shown to whoever tries."""
        release = self.get(version)
        mark = {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        files.write(release.folder / _BAD, json.dumps(mark) + "\n", mode=0o600)
        return Release.read(release.folder)

    def replace_image(self, release: Release, role: str, image: str) -> Release:
        """Note that a lost image was rebuilt and has another ID now."""
        old = release.images[role]
        rebuilt = images.ImageRecord(role, old.service, image, old.name, old.kept_as, old.identity)
        changed = replace(release, images={**release.images, role: rebuilt})
        write_manifest(changed)
        return changed

    def discard(self, version: str) -> None:
        """Forget a release that could not be recorded whole."""
        shutil.rmtree(self.folder / version, ignore_errors=True)


def nothing_revoked(
    deployment: Deployment, name: str, recorded: Mapping[str, Sequence[files.FileRecord]], store: Path
) -> None:
    """Say that no recorded env file has a value that was revoked after a breach: such a one is never put back.

    Raises:
        Refused: one has.
    """
    revoked, names = Revoked.of(deployment), env_files(deployment)
    for one in (one for some in recorded.values() for one in some if one.path in names):
        for key, at in revoked.keys_in(store / one.path).items():
            raise Refused(
                f"{name} has a value for {key} in {one.path} that was revoked on {at}.",
                "choose another release, or `rollback contain rotate` gives all of them new values",
            )


def env_files(deployment: Deployment) -> list[str]:
    """The env files of the application and of its monitoring stack, in which secrets stand."""
    table = deployment.settings
    return list(dict.fromkeys([*table.compose.env_files, *table.monitoring.env_files]))


def groups(deployment: Deployment) -> dict[str, list[str]]:
    """The files and folders of each part, as rollback.toml names them."""
    table = deployment.settings
    return {
        "environment": table.compose.env_files,
        "compose": table.compose.files,
        "nginx": table.parts.nginx,
        "certificates": table.parts.certificates,
        "monitoring": table.parts.monitoring,
    }


def write_manifest(release: Release) -> None:
    """Write the manifest, last and atomically: without it the folder is no release."""
    text = json.dumps(release.as_json(), indent=1, sort_keys=True) + "\n"
    files.write(release.folder / _MANIFEST, text, mode=0o600)
    os.chmod(release.folder, 0o700)  # noqa: PTH101 -- TemporaryDirectory hands out a str


def check_name(version: str) -> None:
    """A version names a folder and an image tag.

    Raises:
        UsageError: for anything that could not be both.
    """
    if not _NAME.fullmatch(version) or version == LAST_GOOD:
        raise UsageError(
            f"`{version}` cannot be the name of a release.",
            "use letters, digits, dots, dashes and underscores, beginning with a letter or digit (e.g. v4.0.0)",
        )
