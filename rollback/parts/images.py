"""Images as parts: kept from pruning under names of our own, put back by moving the name Compose uses."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rollback import commands

if TYPE_CHECKING:
    from rollback.deployment import Deployment

__all__ = ["ImageRecord", "keep", "keep_name", "safe"]


@dataclass(frozen=True)
class ImageRecord:
    """One recorded image.

    Attributes:
        role: key in rollback.toml, e.g. "backend".
        service: the Compose service.
        id: the engine's image ID.
        name: the name that Compose started it from.
        kept_as: the name of our own that keeps it from pruning.
        identity: the version it answered when it was recorded.
    """

    role: str
    service: str
    id: str
    name: str
    kept_as: str
    identity: str

    def as_json(self) -> dict[str, str]:
        """For the manifest."""
        return asdict(self)


def keep_name(project: str, service: str, version: str) -> str:
    """The name under which a release's image is kept: always under the deployment's own prefix."""
    return f"rollback/{safe(project)}/{safe(service)}:{_safe_tag(version)}"


def safe(text: str) -> str:
    """The text as part of an image or container name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def _safe_tag(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:120].lstrip(".-") or "x"


def keep(deployment: Deployment, image: str, name: str) -> None:
    """Give an image a name of ours, so that neither prune nor a moved tag can take it."""
    deployment.engine.ask(commands.tag(image, name))
