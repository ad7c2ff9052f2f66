"""The edge's configuration as a part: proven by nginx itself in a container of its own before the real one sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.database import disposable
from rollback.database.server import bind
from rollback.outcome import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Container, Deployment

__all__ = ["spared", "test"]


def spared(deployment: Deployment) -> list[str]:
    """Files in the edge's folder that say what runs now; no release has a say in them."""
    edge = deployment.settings.edge
    return [edge.upstream_file, *([edge.closing_file] if edge.closing_file else [])]


def test(deployment: Deployment, laid_out: Path) -> None:
    """Have nginx test a tree as the edge would see it: same image, same mounts, same network, no port of the host.

    Args:
        deployment: whose edge.
        laid_out: a folder that stands for the checkout; what it does not hold comes from the checkout.

    Raises:
        Refused: nginx refuses it, in its own words; or the edge has no container to ask how it is run.
    """
    service = deployment.settings.edge.service
    there = deployment.serving(service)
    if not there:
        raise Refused(f"The edge service `{service}` has no container.", f"`docker compose up -d {service}`")
    argv = _argv(deployment, there[0], laid_out)
    result = deployment.engine.run(argv)
    if result.code != 0:
        said = [line for line in result.err.splitlines() if "[emerg]" in line or "[alert]" in line]
        words = "; ".join(said) or result.err.strip()
        raise Refused(f"nginx refuses these files: {words}.", "choose another release")


def _argv(deployment: Deployment, edge: Container, laid_out: Path) -> commands.Argv:
    raw = json.loads(deployment.engine.ask(commands.inspect("container", [edge.id])))[0]
    mounts = [_mount(one, deployment.root, laid_out) for one in raw["Mounts"] if one["Type"] == "bind"]
    network = next(iter(raw["NetworkSettings"]["Networks"]), "none")
    words, name = deployment.settings.edge.test, disposable.name("nginx-test")
    return commands.trial(
        words, image=raw["Image"], name=name, label=disposable.label(), network=network, mounts=mounts
    )


def _mount(one: dict[str, Any], root: Path, laid_out: Path) -> str:
    source = root.__class__(one["Source"])
    inside = source.relative_to(root.resolve()) if source.is_relative_to(root.resolve()) else None
    staged = laid_out / inside if inside is not None else source
    return bind(staged if staged.exists() else source, one["Destination"])
