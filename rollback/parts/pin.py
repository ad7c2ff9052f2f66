"""The pin: the env and Compose files of a release and the image names that Compose resolves from them.

No override file and no exported variable: a rollback by those is undone by the next plain `up`. The files are the
release's own and each image name that they lead to is moved to the recorded image, so whatever Compose makes of the
checkout afterwards is the target.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands, look
from rollback.documents.verification import identities
from rollback.engine import CommandFailed
from rollback.parts import files
from rollback.parts.standin import overlay_text, release_compose
from rollback.plan import Reading

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.documents.preflight import Preflight
    from rollback.release import Release

__all__ = ["Pin"]


@dataclass(frozen=True)
class Pin:
    """The pin of one release on one deployment."""

    deployment: Deployment
    release: Release

    def names(self) -> dict[str, str]:
        """The image name of each role as Compose resolves it with the release's env files."""
        return self._names

    @cached_property
    def _names(self) -> dict[str, str]:
        config = self.deployment.config(release_compose(self.deployment, self.release))
        return {role: self.deployment.image_name(config, one.service) for role, one in self.release.images.items()}

    def names_now(self) -> dict[str, str | None]:
        """The images that these names lead to now; None for a name that leads nowhere."""
        ids = self._ids()
        return {name: ids[name] for name in self.names().values()}

    def changed_roles(self) -> list[str]:
        """Roles whose running containers are not what the release's files and images would make."""
        return [role for role in self.release.images if not self._is_target(role, self._hashes)]

    def others(self) -> list[str]:
        """What the release's files say otherwise than the checkout of services that are not released, in words.

        Compose would replace those at the next `up`: the database among them.
        """
        then, now = self._hashes, self._now()
        released = {one.service for one in self.release.images.values()}
        told = []
        for service in sorted((then.keys() | now.keys()) - released):
            if service not in then:
                told.append(f"{service} is not in {self.release.version}")
            elif service not in now:
                told.append(f"{service} is in {self.release.version} alone")
            elif then[service] != now[service]:
                told.append(f"{service} is defined otherwise")
        return told

    def _now(self) -> dict[str, str]:
        """The hashes of the checkout's files; of what runs where Compose cannot read them."""
        try:
            return self.deployment.hashes(self.deployment.compose)
        except CommandFailed:
            return self._running_hashes()

    def _running_hashes(self) -> dict[str, str]:
        return {one.service: one.config_hash or "" for one in self.deployment.containers() if not one.one_off}

    def unlike_running(self) -> list[str]:
        """Services that are not released and run with something else than these files say."""
        released = {one.service for one in self.release.images.values()}
        there = self._running_hashes()
        wanted = {name: digest for name, digest in self._hashes.items() if name not in released}
        return sorted(name for name, digest in wanted.items() if there.get(name) != digest)

    def strangers(self) -> list[str]:
        """Image names that a rollback would move while containers of other projects were made from them."""
        names, ids = self.names(), self._ids()
        moved = {name for role, name in names.items() if ids[name] != ids[self.release.images[role].kept_as]}
        rows = self.deployment.engine.ask(commands.container_images()).splitlines() if moved else []
        told = {tuple(row.split("\t")) for row in rows}
        return sorted(f"{name} (project {project or 'none'})" for name, project in told
                      if name in moved and project != self.deployment.project)  # fmt: skip

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return self._target_hashes()

    def _target_hashes(self) -> dict[str, str]:
        """Compose's hashes with the release's files, which need not be in the checkout yet."""
        with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
            path = Path(folder) / "target.yml"
            path.write_text(overlay_text(self.deployment, self.release, self.names()), encoding="utf-8")
            return self.deployment.hashes(release_compose(self.deployment, self.release, path))

    def _is_target(self, role: str, hashes: dict[str, str]) -> bool:
        record = self.release.images[role]
        running = self.deployment.serving(record.service)
        return bool(running) and all(
            one.well and one.image == record.id and one.config_hash == hashes.get(record.service) for one in running
        )

    def reading(self) -> Reading:
        """Whether the checkout's files and the image names are the release's."""
        wrong = [f"{path} differs" for path in files.differing(self.deployment.root, self._files())]
        names, kept = self.names(), {role: one.kept_as for role, one in self.release.images.items()}
        ids = self._ids()
        wrong += [f"{name} is another image" for role, name in names.items() if ids[name] != ids[kept[role]]]
        return Reading(not wrong, "; ".join(wrong) or f"files and image names as in {self.release.version}")

    def _ids(self) -> dict[str, str | None]:
        """The IDs of the target's images under the names that Compose uses and those that keep them."""
        kept = {one.kept_as for one in self.release.images.values()}
        return self.deployment.image_ids({*self.names().values(), *kept})

    def _files(self) -> list[files.FileRecord]:
        return [*self.release.files["environment"], *self.release.files["compose"]]

    def put(self) -> None:
        """Put the files back and move the image names."""
        names = self.names()
        files.restore(self.deployment.root, self._files(), self.release.store)
        kept = {role: one.kept_as for role, one in self.release.images.items()}
        self.deployment.engine.ask_all([commands.tag(kept[role], name) for role, name in names.items()])

    def take_back(self, preflight: Preflight, before: dict[str, Any], names: dict[str, str | None]) -> None:
        """Undo `put` and have Compose run what ran before; what was healthy is waited for, users come back to it.

        Args:
            preflight: holds the files as they were.
            before: by role, what ran; decides which services are started again.
            names: every image name that was moved, and the image it had; None where it had none.
        """
        preflight.restore_files([one.path for one in self._files()])
        for name, image in names.items():
            if image is None and self.deployment.image_id(name):
                self.deployment.engine.ask(commands.untag(name))
            elif image is not None:
                self.deployment.engine.ask(commands.tag(image, name))
        sound = [one["service"] for one in before.values() if one["well"]]
        ill = [one["service"] for one in before.values() if not one["well"]]
        seconds = self.deployment.settings.timing.healthy
        for services, wait in ((sound, seconds), (ill, None)):
            if services:
                self.deployment.engine.ask(self.deployment.compose.up(services, wait_seconds=wait))

    def settled(self) -> Reading:
        """Whether a plain `docker compose up -d` would change nothing of the released services."""
        with look.shared():
            return self._settled()

    def _settled(self) -> Reading:
        pinned = self.reading()
        if not pinned.holds:
            return pinned
        hashes, there = self.deployment.hashes(self.deployment.compose), self.deployment.containers()
        images, wrong = self._ids(), list[str]()
        for record in self.release.images.values():
            running = [one for one in there if one.service == record.service and not one.one_off]
            wrong += [] if running else [f"{record.service} has no container"]
            for one in running:
                wrong += one.differences(images[record.kept_as], hashes.get(record.service))
        return Reading(not wrong, "; ".join(wrong) or "containers, image names and files agree")

    def proven(self) -> Reading:
        """Whether Compose's own containers answer with the release's identity."""
        now = identities(self.deployment)
        wrong = [
            f"{role} answers {now.get(role) or 'nothing'}"
            for role, record in self.release.images.items()
            if now.get(role) != record.identity
        ]
        return Reading(not wrong, "; ".join(wrong) or f"all answer as {self.release.version}")

    def up(self, services: list[str], seconds: int) -> None:
        """Let Compose make the services as the checkout now says, and wait until they are healthy."""
        self.deployment.engine.ask(self.deployment.compose.up(services, wait_seconds=seconds), seconds=seconds + 60)
