"""Argv builders for docker compose, as the team calls it for one deployment. Nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from rollback.commands import Argv

__all__ = ["Compose"]


@dataclass(frozen=True)
class Compose:
    """The way the team calls Compose for one deployment.

    The files, profiles and env file are named explicitly, so the result never depends on where the operator
    stands; what a plain `docker compose up -d` in the checkout makes of the same files is the same.
    """

    root: Path
    files: tuple[Path, ...]
    profiles: tuple[str, ...] = ()
    project: str | None = None
    env_file: Path | None = None

    def _base(self) -> Argv:
        argv = ["docker", "compose", "--project-directory", str(self.root)]
        for file in self.files:
            argv += ["-f", str(file)]
        for profile in self.profiles:
            argv += ["--profile", profile]
        if self.project:
            argv += ["-p", self.project]
        if self.env_file:
            argv += ["--env-file", str(self.env_file)]
        return argv

    def with_files(self, names: Collection[str]) -> Compose:
        """The same with more files."""
        return replace(self, files=(*self.files, *(self.root / name for name in names)))

    def config(self) -> Argv:
        """The resolved model as JSON, env files included. It holds secrets: never print it."""
        return [*self._base(), "config", "--format", "json"]

    def config_unresolved(self) -> Argv:
        """The model with `env_file` entries left as they are written."""
        return [*self._base(), "config", "--format", "json", "--no-env-resolution"]

    def config_as_written(self) -> Argv:
        """The model with `env_file` entries and variables left as they are written."""
        return [*self.config_unresolved(), "--no-interpolate"]

    def config_hashes(self) -> Argv:
        """Each service with the hash by which Compose decides whether a container is up to date."""
        return [*self._base(), "config", "--hash", "*"]

    def up(self, services: Sequence[str], *, wait_seconds: int | None) -> Argv:
        """Make exactly these services as the files say: no build, no pull, nothing else touched."""
        wait = [] if wait_seconds is None else ["--wait", "--wait-timeout", str(wait_seconds)]
        return [*self._base(), "up", "-d", "--no-deps", "--no-build", "--pull", "never", *wait, *services]

    def recreate(self, services: Sequence[str], *, stop_seconds: int) -> Argv:
        """Make the containers of these services anew from their images, and start none of them."""
        anew = ["up", "--no-start", "--force-recreate", "--timeout", str(stop_seconds)]
        return [*self._base(), *anew, "--no-deps", "--no-build", "--pull", "never", *services]

    def create(self, services: Sequence[str]) -> Argv:
        """Containers of these services that are not started, with the networks and volumes that they need."""
        return [*self._base(), "up", "--no-start", "--no-deps", "--no-build", "--pull", "never", *services]

    def run_beside(self, service: str, *, name: str, labels: Mapping[str, str], aliases: bool) -> Argv:
        """A one-off container of a service: same configuration, own name, no published port.

        Compose leaves one-off containers alone in a plain `up`, unlike a second or an outdated replica.
        """
        argv = [*self._base(), "run", "-d", "--no-deps", "--pull", "never", "--name", name]
        for key, value in labels.items():
            argv += ["--label", f"{key}={value}"]
        if aliases:
            argv.append("--use-aliases")
        return [*argv, service]
