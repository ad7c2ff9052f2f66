"""The edge's configuration as a part: proven by nginx itself in a container of its own before the real one sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.database import disposable
from rollback.mount import bind
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rollback.deployment import Deployment
    from rollback.engine import Result

__all__ = ["Places", "dump", "places", "spared", "test"]


def spared(deployment: Deployment) -> list[str]:
    """Files in the edge's folder that say what runs now; no release has a say in them."""
    edge = deployment.settings.edge
    switches = [one for one in (edge.closing_file, edge.maintenance_file) if one]
    return [edge.upstream_file, *switches]


@dataclass(frozen=True)
class Places:
    """Where the edge's container has its files from.

    Attributes:
        raw: what `docker inspect` says of it.
        root: the checkout.
        inside: by path in the container where in the checkout a mount begins; None for one from elsewhere.
    """

    raw: Mapping[str, Any]
    root: Path
    inside: Mapping[str, Path | None]

    def on_host(self, path: str, laid_out: Path) -> Path:
        """The file behind a path in the container, in a folder that stands for the checkout.

        Raises:
            Refused: no mount of the checkout holds it.
        """
        here = self.within(path)
        # a link counts: what it leads to may be missing
        staged = laid_out / here
        return staged if staged.exists() or staged.is_symlink() else self.root / here

    def within(self, path: str) -> Path:
        """Where in the checkout a path in the container lies.

        Raises:
            Refused: no mount of the checkout holds it.
        """
        for destination, begins in self.inside.items():
            if begins is not None and Path(path).is_relative_to(destination):
                return begins / Path(path).relative_to(destination)
        raise Refused(f"The edge has {path} from elsewhere than the checkout.", "put it under [parts] and mount it")

    def seen(self, names: Collection[str]) -> None:
        """Say that the edge would see these files.

        Raises:
            Refused: none of their folders is mounted, or one is mounted as a file, which stays the old one.
        """
        for name in names:
            around = [one for one in self.inside.values() if one is not None and Path(name).is_relative_to(one)]
            if not around:
                raise Refused(
                    f"The edge does not see {name}: no mount of its container holds it.", "recreate the edge by hand"
                )
            if any((self.root / one).is_file() for one in around):
                raise Refused(
                    f"{name} is mounted as a single file: the edge would go on with the old one.",
                    "mount its folder instead",
                )

    def mounts(self, laid_out: Path) -> list[str]:
        """The mounts of its container with a folder in place of the checkout, in docker's words."""
        return [self._mount(one, laid_out) for one in self.raw["Mounts"] if one["Type"] != "tmpfs"]

    def _mount(self, one: dict[str, Any], laid_out: Path) -> str:
        if one["Type"] == "volume":
            return f"type=volume,source={one['Name']},destination={one['Destination']}"
        begins = self.inside[one["Destination"]]
        staged = laid_out / begins if begins is not None else None
        return bind(staged if staged is not None and staged.exists() else Path(one["Source"]), one["Destination"])


def places(deployment: Deployment) -> Places:
    """The mounts of the edge's container, dead or alive.

    Raises:
        Refused: it has none to ask how it is run.
    """
    service = deployment.settings.edge.service
    there = deployment.serving(service)
    if not there:
        raise Refused(f"The edge service `{service}` has no container.", f"`docker compose up -d {service}`")
    raw = json.loads(deployment.engine.ask(commands.inspect("container", [there[0].id])))[0]
    root = deployment.root.resolve()
    return Places(raw, root, {one["Destination"]: _inside(one, root) for one in raw["Mounts"]})


def _inside(one: dict[str, Any], root: Path) -> Path | None:
    """Where in the checkout a mount begins; None where it is from elsewhere."""
    source = Path(one["Source"]).resolve()
    return source.relative_to(root) if one["Type"] == "bind" and source.is_relative_to(root) else None


def test(deployment: Deployment, laid_out: Path, names: Collection[str]) -> str:
    """Have nginx test a tree as the edge would see it: same image, same mounts, same networks, no port of the host.

    Args:
        deployment: whose edge.
        laid_out: a folder that stands for the checkout; what it does not hold comes from the checkout.
        names: the files that are put back.

    Returns:
        The whole configuration as nginx read it.

    Raises:
        Refused: nginx refuses it, in its own words; the edge has no container; or it would not see the files.
    """
    there = places(deployment)
    there.seen(names)
    result = _tried(deployment, there, laid_out)
    if result.code != 0:
        said = [line for line in result.err.splitlines() if "[emerg]" in line or "[alert]" in line]
        words = "; ".join(said) or result.err.strip()
        raise Refused(f"nginx refuses these files: {words}.", "choose another release")
    return result.out


def _tried(deployment: Deployment, there: Places, laid_out: Path) -> Result:
    """The names in the files are resolved in every network that the edge is in, so the trial is in all of them."""
    first, *more = [*there.raw["NetworkSettings"]["Networks"]] or ["none"]
    name, engine = disposable.name("nginx-test"), deployment.engine
    argv = commands.trial(
        _dumping(deployment),
        image=there.raw["Image"],
        name=name,
        label=disposable.label(),
        network=first,
        mounts=there.mounts(laid_out),
        waits=True,
    )
    with disposable.started(engine, name, argv):
        for network in more:
            engine.ask(commands.network_connect(network, name, []))
        return engine.run(commands.attached(name))


def dump(deployment: Deployment) -> str:
    """The configuration that lies before the live edge.

    Raises:
        Failed: nginx in it refuses the files.
    """
    result = deployment.in_edge(_dumping(deployment))
    if result.code != 0:
        raise Failed(f"nginx in the edge refuses its files: {result.err.strip()}.", "`rollback nginx VERSION`")
    return result.out


def _dumping(deployment: Deployment) -> list[str]:
    """The command that tests a configuration, made to print it as well."""
    return ["-T" if word == "-t" else word for word in deployment.settings.edge.test]
