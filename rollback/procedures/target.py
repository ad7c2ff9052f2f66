"""What a run goes back to: a whole recorded release, or only some of its parts with the images that run now."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback.documents.verification import identities
from rollback.outcome import Refused
from rollback.parts.images import ImageRecord
from rollback.parts.snapshot import Snapshots
from rollback.release import LAST_GOOD, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rollback.deployment import Deployment
    from rollback.parts.pin import Pin
    from rollback.release import Release

__all__ = ["facts", "of", "partial", "recorded", "running"]


def of(deployment: Deployment, facts: dict[str, Any]) -> Release:
    """The target of a run, made again from its facts."""
    if "parts" not in facts:
        return Shelf(deployment).get(facts["version"])
    release = recorded(deployment, facts["version"])
    images = {role: ImageRecord(**one) for role, one in facts["images"].items()}
    return partial(deployment, release, facts["parts"], images)


def recorded(deployment: Deployment, name: str, differs: Callable[[Release], bool] = lambda _: True) -> Release:
    """What files go back to: a good release, or a snapshot, which is one without images.

    Args:
        deployment: the live system.
        name: of either, or `last-good`.
        differs: for `last-good`: whether anything is not as in a release.

    Raises:
        Refused: there is none, it is marked bad, or its copies are damaged.
    """
    if name == LAST_GOOD:
        return Shelf(deployment).last_good(differs)
    snapshots = Snapshots(deployment)
    return snapshots.whole(name) if snapshots.has(name) else Shelf(deployment).good(name)


def partial(
    deployment: Deployment, release: Release, parts: Collection[str], images: dict[str, ImageRecord]
) -> Release:
    """A release of which only these groups of files go back."""
    files = {group: some if group in parts else [] for group, some in release.files.items()}
    return replace(release, files=files, images=images, live=deployment.root)


def running(deployment: Deployment) -> dict[str, ImageRecord]:
    """The images that run now, by role, with what each answers as its version.

    Raises:
        Refused: a released service has no container, or nobody knows which release its image is.
    """
    recorded = {one.id: one for release in Shelf(deployment).all() for one in release.images.values()}
    # what is dead cannot be asked, and mostly needs not be: it was recorded
    answers = identities(deployment)
    found = {}
    for role, service in deployment.settings.services.items():
        there = deployment.serving(service.service)
        if not there:
            raise Refused(f"The service `{service.service}` has no container.", "`rollback application last-good`")
        image = there[0].image
        known = recorded[image].identity if image in recorded else answers.get(role, "")
        if not known:
            raise Refused(
                f"Nobody knows which release {service.service} runs ({image[:19]}): it was never recorded and does not"
                " answer.",
                "`rollback application last-good`",
            )
        name = recorded[image].name if image in recorded else image
        found[role] = ImageRecord(role, service.service, image, name, image, known)
    return found


def facts(  # noqa: PLR0913, PLR0917 -- what such a run knows of itself
    pin: Pin, part: str, run: str, images: dict[str, ImageRecord], changed: list[str], told: list[str]
) -> dict[str, Any]:
    """For the journal: what a run goes by that puts one part back in the application's way."""
    return {
        "procedure": part,
        "version": pin.release.version,
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": [part],
        "images": {role: asdict(one) for role, one in images.items()},
        "roles": changed,
        "before": {role: pin.deployment.running_state(images[role].service) for role in changed},
        "names": {},
        "strangers": [],
        "told": told,
    }
