"""Whether what runs and what lies in the checkout is what a recorded release says: what differs, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollback.parts import files, nginx
from rollback.parts.tree import Tree
from rollback.verification.line import NotTested
from rollback.verification.services import identities

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release
    from rollback.verification.line import Seen

__all__ = ["TREES", "containers", "identity", "images", "part"]

#: Groups of files of which what was added counts as well: nginx reads a new file of its folder without being told.
TREES = ("nginx", "certificates", "monitoring")


def identity(deployment: Deployment, release: Release) -> Seen:
    """Each service answers as the release that was recorded."""
    now = identities(deployment)
    wrong = [
        f"{role} answers {now.get(role) or 'nothing'} instead of {record.identity}"
        for role, record in release.images.items()
        if now.get(role) != record.identity
    ]
    return not wrong, "; ".join(wrong) or ", ".join(f"{role} {version}" for role, version in now.items())


def images(deployment: Deployment, release: Release) -> Seen:
    """Each service runs from the very image that was recorded."""
    wrong = [
        f"{record.service} runs {one.image[:19]} instead of {record.id[:19]}"
        for record in release.images.values()
        for one in deployment.serving(record.service)
        if one.image != record.id
    ]
    there = {one.service for one in deployment.containers() if not one.one_off}
    wrong += [f"{one.service} has no container" for one in release.images.values() if one.service not in there]
    return not wrong, "; ".join(wrong) or f"as recorded in {release.version}"


def part(deployment: Deployment, release: Release, group: str) -> Seen:
    """The files of a group are the recorded ones, byte for byte, with their permission bits.

    Raises:
        NotTested: the release was recorded without any.
    """
    records = release.files.get(group, [])
    if not records:
        raise NotTested(f"{release.version} was recorded without {group} files")
    if group not in TREES:
        wrong = files.differing(deployment.root, records)
        return not wrong, f"not as recorded: {', '.join(wrong)}" if wrong else f"as recorded in {release.version}"

    spared = nginx.spared(deployment)
    names: list[str] = getattr(deployment.settings.parts, group)
    tree = Tree(deployment.root, names, spared, records, release.store, release.folder)
    told = [f"not as recorded: {', '.join(found)}" for found in [tree.differing()] if found]
    told += [f"not of {release.version}: {', '.join(found)}" for found in [tree.added()] if found]
    return not told, "; ".join(told) or f"as recorded in {release.version}"


def containers(deployment: Deployment) -> Seen:
    """Every container was made from the files and images that are there: a plain `up` would change nothing."""
    model, hashes = deployment.config(deployment.compose), deployment.hashes(deployment.compose)
    names = {service: deployment.image_name(model, service) for service in model["services"]}
    ids, there = deployment.image_ids(set(names.values())), deployment.containers()
    wrong = []
    for service, name in names.items():
        for one in there:
            if one.service == service and not one.one_off and one.running:
                wrong += one.differences(ids[name], hashes.get(service))
    wrong += [f"{service} has no container" for service in names if not any(one.service == service for one in there)]
    wrong += [f"{one.name} is of no service of the files" for one in there
              if one.running and not one.one_off and one.service not in names | _colours(deployment)]  # fmt: skip
    return not wrong, "; ".join(wrong) or "as the Compose files say: a plain `up` would change none"


def _colours(deployment: Deployment) -> dict[str, str]:
    return {one.service: name for name, one in deployment.settings.switch.colours.items()}
