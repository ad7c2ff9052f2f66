"""A recorded image that is gone comes back from the release's git tag, built in a work tree of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollback import commands
from rollback.outcome import Refused
from rollback.parts.standin import release_compose
from rollback.plan import Reading
from rollback.release import Shelf

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Rebuild"]


@dataclass(frozen=True)
class Rebuild:
    """The images of one release, at hand or brought back."""

    deployment: Deployment
    version: str

    @property
    def release(self) -> Release:
        """Read anew: a rebuilt image has another ID in the manifest."""
        return Shelf(self.deployment).get(self.version)

    def lost(self) -> list[str]:
        """Roles whose image the engine no longer has."""
        images = self.release.images
        ids = self.deployment.image_ids({one.id for one in images.values()})
        return [role for role, one in images.items() if ids[one.id] is None]

    def possible(self) -> None:
        """Prove that every image is there or can be rebuilt.

        Raises:
            Refused: naming the image, and why it cannot be rebuilt.
        """
        lost = self.lost()
        if lost:
            self._commit(lost)

    def _commit(self, lost: list[str]) -> str:
        names = ", ".join(self.release.images[role].kept_as for role in lost)
        git = commands.git(self.deployment.root, "rev-parse", "--verify", "-q", f"refs/tags/{self.version}^{{commit}}")
        result = self.deployment.engine.run(git)
        commit = result.out.strip()
        if result.code != 0:
            raise Refused(
                f"The image of {', '.join(lost)} ({names}) is gone and there is no git tag {self.version} to rebuild"
                " it from.",
                "load the image from an archive (`docker load`), fetch the tag, or choose another release",
            )
        if self.release.commit not in (None, commit):
            raise Refused(
                f"The git tag {self.version} is at {commit[:12]}, the release was recorded at"
                f" {str(self.release.commit)[:12]}: what would be built is not what ran.",
                "fetch the right tag, or choose another release",
            )
        return commit

    def reading(self) -> Reading:
        """Whether every image is there under the name that keeps it."""
        images = self.release.images.values()
        ids = self.deployment.image_ids({one.kept_as for one in images})
        missing = [one.kept_as for one in images if ids[one.kept_as] != one.id]
        return Reading(not missing, f"missing: {', '.join(missing)}" if missing else "all images are there")

    def bring(self) -> None:
        """Name what is there, rebuild what is not."""
        lost = self.lost()
        for role, one in self.release.images.items():
            if role not in lost:
                self.deployment.engine.ask(commands.tag(one.id, one.kept_as))
        if lost:
            self._rebuild(lost)

    def _rebuild(self, lost: list[str]) -> None:
        commit = self._commit(lost)
        with tempfile.TemporaryDirectory(prefix="rollback-source-") as folder:
            tree = Path(folder) / "tree"
            self._git("worktree", "add", "--detach", str(tree), commit)
            try:
                for role in lost:
                    self._build(role, tree)
            finally:
                self._git("worktree", "remove", "--force", str(tree))

    def _git(self, *words: str) -> None:
        self.deployment.engine.ask(commands.git(self.deployment.root, *words))

    def _build(self, role: str, tree: Path) -> None:
        release = self.release
        record = release.images[role]
        wanted = self.deployment.config(release_compose(self.deployment, release))["services"][record.service]
        recipe = wanted.get("build")
        if recipe is None:
            raise Refused(f"The service `{record.service}` has no `build` in the Compose files.", "load its image")
        context = tree / Path(recipe["context"]).relative_to(self.deployment.root)
        args = {key: str(value) for key, value in (recipe.get("args") or {}).items()}
        dockerfile = recipe.get("dockerfile") or "Dockerfile"
        argv = commands.build(
            context, name=record.kept_as, dockerfile=dockerfile, args=args, target=recipe.get("target")
        )
        self.deployment.engine.build(argv, args)
        rebuilt = self.deployment.image_id(record.kept_as)
        if rebuilt is None:
            raise Refused(f"The build of {record.kept_as} left no image.", "build it by hand and look at its log")
        Shelf(self.deployment).replace_image(release, role, rebuilt)
