"""The edge's configuration as a part: proven by nginx itself in a container of its own before the real one sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.database import disposable
from rollback.database.server import bind
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rollback.deployment import Container, Deployment

__all__ = ["spared", "test"]


def spared(deployment: Deployment) -> list[str]:
    """Files in the edge's folder that say what runs now; no release has a say in them."""
    edge = deployment.settings.edge
    switches = [one for one in (edge.closing_file, edge.maintenance_file) if one]
    return [edge.upstream_file, *switches]


def test(deployment: Deployment, laid_out: Path, names: Collection[str]) -> None:
    """Have nginx test a tree as the edge would see it: same image, same mounts, same network, no port of the host.

    Args:
        deployment: whose edge.
        laid_out: a folder that stands for the checkout; what it does not hold comes from the checkout.
        names: the files that are put back.

    Raises:
        Refused: nginx refuses it, in its own words; the edge has no container to ask how it is run; or it would not
            see the files: none of their folders is mounted, or one is mounted as a file, which stays the old one.
    """
    service = deployment.settings.edge.service
    there = deployment.serving(service)
    if not there:
        raise Refused(f"The edge service `{service}` has no container.", f"`docker compose up -d {service}`")
    argv = _argv(deployment, there[0], laid_out, names)
    result = deployment.engine.run(argv)
    if result.code != 0:
        said = [line for line in result.err.splitlines() if "[emerg]" in line or "[alert]" in line]
        words = "; ".join(said) or result.err.strip()
        raise Refused(f"nginx refuses these files: {words}.", "choose another release")


def _argv(deployment: Deployment, edge: Container, laid_out: Path, names: Collection[str]) -> commands.Argv:
    raw = json.loads(deployment.engine.ask(commands.inspect("container", [edge.id])))[0]
    root = deployment.root.resolve()
    inside = {one["Destination"]: _inside(one, root) for one in raw["Mounts"]}
    _seen(inside, root, names)
    mounts = [_mount(one, laid_out, inside[one["Destination"]]) for one in raw["Mounts"] if one["Type"] != "tmpfs"]
    network = next(iter(raw["NetworkSettings"]["Networks"]), "none")
    words, name = deployment.settings.edge.test, disposable.name("nginx-test")
    return commands.trial(
        words, image=raw["Image"], name=name, label=disposable.label(), network=network, mounts=mounts
    )


def _inside(one: dict[str, Any], root: Path) -> Path | None:
    """Where in the checkout a mount begins; None where it is from elsewhere."""
    source = Path(one["Source"]).resolve()
    return source.relative_to(root) if one["Type"] == "bind" and source.is_relative_to(root) else None


def _seen(inside: Mapping[str, Path | None], root: Path, names: Collection[str]) -> None:
    for name in names:
        around = [one for one in inside.values() if one is not None and Path(name).is_relative_to(one)]
        if not around:
            raise Refused(
                f"The edge does not see {name}: no mount of its container holds it.", "recreate the edge by hand"
            )
        if any((root / one).is_file() for one in around):
            raise Refused(
                f"{name} is mounted as a single file: the edge would go on with the old one.",
                "mount its folder instead",
            )


def _mount(one: dict[str, Any], laid_out: Path, inside: Path | None) -> str:
    if one["Type"] == "volume":
        return f"type=volume,source={one['Name']},destination={one['Destination']}"
    staged = laid_out / inside if inside is not None else None
    return bind(staged if staged is not None and staged.exists() else Path(one["Source"]), one["Destination"])
