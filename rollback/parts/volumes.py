"""Volumes as parts: streamed out and in through a container that is never started, copied, set aside.

`docker cp` keeps owners and permission bits, needs no program of the image, and reads volumes of what does not run.
"""

from __future__ import annotations

import json
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from rollback import commands
from rollback.database import disposable
from rollback.engine import inspected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment
    from rollback.engine import Engine

__all__ = ["KEPT", "Mounted", "Volumes", "mounted"]

#: Label of what was set aside, with the run that did it.
KEPT = "rollback.kept"
_PROJECT = "com.docker.compose.project"
_INSIDE = "/volume"


@dataclass(frozen=True)
class Mounted:
    """A volume of the Compose files: key, name on the engine, and the first service that writes it, with the place."""

    key: str
    name: str
    service: str
    target: str


def mounted(model: dict[str, Any]) -> list[Mounted]:
    """Every named volume that a service of the model mounts, once."""
    names = {key: str((one or {}).get("name") or key) for key, one in (model.get("volumes") or {}).items()}
    found: dict[str, Mounted] = {}
    uses = [
        (bool(one.get("read_only")), service, one)
        for service, table in model["services"].items()
        for one in table.get("volumes") or []
        if one.get("type") == "volume" and one.get("source") in names
    ]
    for _, service, one in sorted(uses, key=lambda use: use[0]):
        key = str(one["source"])
        found.setdefault(key, Mounted(key, names[key], service, str(one["target"])))
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True)
class Volumes:
    """Volumes of one deployment.

    Attributes:
        image: of the containers through which they are reached; any that is here.
    """

    deployment: Deployment
    image: str

    @property
    def _engine(self) -> Engine:
        return self.deployment.engine

    def there(self, name: str) -> bool:
        """Whether there is one; which one cannot be told: the engine's CreatedAt moves when a file is written."""
        return bool(inspected(self._engine.run(commands.inspect("volume", [name]))))

    def labels(self, name: str) -> dict[str, str]:
        """The labels of a volume that is there."""
        return dict(json.loads(self._engine.ask(commands.inspect("volume", [name])))[0]["Labels"] or {})

    def place(self, name: str) -> str:
        """Where the engine keeps a volume that is there; a path of the engine's host."""
        return str(json.loads(self._engine.ask(commands.inspect("volume", [name])))[0]["Mountpoint"])

    @contextmanager
    def _porter(self, name: str, *, readonly: bool) -> Iterator[str]:
        disposable.sweep(self._engine)  # what was killed would hold the volume
        hidden, own = disposable.volumes(self._engine, self.image), disposable.name("porter")
        argv = commands.porter(
            self.image,
            name=own,
            label=disposable.label(),
            volume=name,
            inside=_INSIDE,
            readonly=readonly,
            hidden=hidden,
        )
        with disposable.started(self._engine, own, argv) as container:
            yield container

    @contextmanager
    def out(self, name: str, *, whole: bool = True) -> Iterator[IO[bytes]]:
        """What is in a volume, as a tar."""
        with (
            self._porter(name, readonly=True) as container,
            self._engine.outflow(commands.copy_out(container, _INSIDE), whole=whole) as stream,
        ):
            yield stream

    @contextmanager
    def into(self, name: str) -> Iterator[IO[bytes]]:
        """A tar, into a volume; what is there already stays unless it has the same name."""
        with (
            self._porter(name, readonly=False) as container,
            self._engine.inflow(commands.copy_in(container, _INSIDE)) as stream,
        ):
            yield stream

    def empty(self, name: str) -> bool:
        """Whether nothing lies in a volume that is there."""
        with self.out(name, whole=False) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            return all(one.name.strip("./") == "" for one in tar)

    def listed(self, name: str) -> dict[str, tuple[int, int]]:
        """Every file in a volume with its size and time of change."""
        with self.out(name) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            found = {one.name: (one.size, int(one.mtime)) for one in tar if one.isreg()}
            while stream.read(1 << 20):
                pass
        return found

    def set_aside(self, name: str, kept: str, run: str) -> None:
        """Copy a volume, with owners and permission bits; what a kill has left of a copy is made anew."""
        if self.there(kept):
            self.remove(kept)
        labels = {KEPT: run, _PROJECT: self.deployment.project}
        self._engine.ask(commands.make_volume(kept, labels))
        self.copy(name, kept)

    def copy(self, name: str, kept: str) -> None:
        """What is in one volume, into another that is there; neither may be in use."""
        with self.out(name) as source, self.into(kept) as target:
            while part := source.read(1 << 20):
                target.write(part)

    def is_copy(self, name: str, kept: str) -> tuple[bool, str]:
        """Whether both hold the same files, by name, size and time of change; neither may be in use."""
        ours, theirs = self.listed(name), self.listed(kept)
        wrong = sorted(one for one in ours.keys() | theirs.keys() if ours.get(one) != theirs.get(one))
        told = f"{len(wrong)} of {len(ours)} files differ, the first: {wrong[0]}" if wrong else f"{len(ours)} files"
        return not wrong, told

    def remove(self, name: str) -> None:
        """Remove a volume of this deployment; nobody may use it."""
        self._engine.ask(commands.remove_volume(name))
