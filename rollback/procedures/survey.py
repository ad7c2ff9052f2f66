"""What an application rollback finds before it may begin: every gate, and the facts that its plan is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback.database import compatibility
from rollback.outcome import NothingToDo, Refused
from rollback.parts.colours import blue_serves
from rollback.parts.pin import Pin
from rollback.parts.rebuild import Rebuild
from rollback.release import LAST_GOOD, Shelf

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["survey"]


def survey(deployment: Deployment, version: str, run: str) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Returns:
        What a plan is made from, now or again after a kill: the journal keeps it.

    Raises:
        Refused: unknown, bad or damaged release, image gone and not rebuildable, schema it cannot work with,
            Compose files that would change a service which is not released; another colour serves.
        NothingToDo: everything is as in the release already.
    """
    blue_serves(deployment)
    shelf = Shelf(deployment)
    release = shelf.last_good(lambda one: _differs(deployment, one)) if version == LAST_GOOD else shelf.good(version)
    compatibility.check(release, deployment.migrations())
    Rebuild(deployment, release.version).possible()
    pin = Pin(deployment, release)
    changed = pin.changed_roles()
    if not changed and pin.reading().holds:
        raise NothingToDo(f"{release.version} runs already: images, files and identity are as recorded.")
    _others_stay(pin)
    return {
        "version": release.version,
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "roles": changed,
        "before": {role: deployment.running_state(release.images[role].service) for role in changed},
        "names": pin.names_now(),
        "strangers": pin.strangers(),
    }


def _differs(deployment: Deployment, release: Release) -> bool:
    """In an image, a file or a container: a broken env file alone is reason enough to go back."""
    pin = Pin(deployment, release)
    return bool(pin.changed_roles()) or not pin.reading().holds


def _others_stay(pin: Pin) -> None:
    others = pin.others()
    if others:
        raise Refused(
            f"The Compose and env files of {pin.release.version} would change more than the application:"
            f" {'; '.join(others)}. The next `docker compose up` would replace or lose it.",
            f"put it back first: `rollback compose {pin.release.version}` or `rollback environment"
            f" {pin.release.version}`, which make such services anew",
        )
