"""Compose rollback: the Compose files as a release had them (RUNBOOK, Docker Compose Rollback).

Only what the files change is touched. Released services go back traffic-first; the others are made anew by Compose, and
the plan says so beforehand. What the bad files added is stopped and removed, its logs and file systems are kept, and
its volumes stay until somebody drops them by name. Whether Compose can read the bad files does not matter: what runs is
known by its labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.outcome import NothingToDo, Refused
from rollback.parts import files
from rollback.parts.colours import blue_serves
from rollback.parts.images import ImageRecord
from rollback.parts.networks import Networks
from rollback.parts.pin import Pin
from rollback.parts.retired import Retired
from rollback.parts.standin import release_compose
from rollback.plan import Reading, Step
from rollback.procedures import target
from rollback.procedures.others import Others, facts
from rollback.procedures.others import told as of_others
from rollback.release import Shelf

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.plan import Plan
    from rollback.release import Release

__all__ = ["NAME", "plan", "survey"]

NAME = PART = "compose"


def survey(deployment: Deployment, version: str, run: str) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Raises:
        Refused: unknown, bad or damaged release; its Compose files cannot be read together with the env files of now;
            an image that they name is not here, or nobody knows which release it is; another colour serves; a network
            has to be made anew and something else is in it.
        NothingToDo: files and containers are as in the release already.
    """
    blue_serves(deployment)

    def differs(one: Release) -> bool:
        return bool(files.differing(deployment.root, one.files[PART]))

    chosen = target.recorded(deployment, version, differs)
    images = chosen.images or target.running(deployment)
    images = _images(deployment, target.partial(deployment, chosen, [PART], images))
    release = target.partial(deployment, chosen, [PART], images)
    pin = Pin(deployment, release)
    changed, differing = pin.changed_roles(), files.differing(deployment.root, release.files[PART])
    added, others = _added(deployment, release), pin.unlike_running()
    networks = _networks(deployment, release, added)
    if networks:
        # nobody can be moved beside while the network is taken away
        changed, others = [], sorted({*others, *networks[1]})
    if not (changed or differing or added or others):
        raise NothingToDo(f"The Compose files are those of {release.version}, and what runs was made from them.")
    told = [*(f"{name} is put back" for name in differing), *_told(deployment, added, others)]
    told += [f"the network {one} is made anew, with all that is in it: users reach nothing meanwhile"
             for one in networks[0]] if networks else []  # fmt: skip
    known = {**facts(deployment, others), "added": added, "networks": networks[0] if networks else []}
    return {**target.facts(pin, PART, run, images, changed, told), **known}


def _networks(
    deployment: Deployment, release: Release, added: dict[str, list[str]]
) -> tuple[list[str], list[str]] | None:
    """Networks that were made from another definition, and all services in them; None where there are none."""
    networks = Networks(deployment, release_compose(deployment, release))
    unlike = networks.unlike()
    if not unlike:
        return None
    services = networks.services(unlike)
    networks.alone(unlike, [*services, *added])
    return unlike, services


def _images(deployment: Deployment, release: Release) -> dict[str, ImageRecord]:
    """What the names in the release's files lead to now, with what each is known to be."""
    recorded = {one.id: one for some in Shelf(deployment).all() for one in some.images.values()}
    names = Pin(deployment, release).names()
    ids, found = deployment.image_ids(names.values()), {}
    for role, name in names.items():
        image = ids[name]
        if image is None or image not in recorded:
            what = "is not here" if image is None else "is of no recorded release"
            raise Refused(
                f"The image {name} of {role}, which the files of {release.version} name with the env files of now,"
                f" {what}.",
                f"`rollback application {release.version}` goes back with images, env and Compose files",
            )
        service = release.images[role].service
        found[role] = ImageRecord(role, service, image, name, image, recorded[image].identity)
    return found


def _added(deployment: Deployment, release: Release) -> dict[str, list[str]]:
    """Containers by service that the release's files do not have."""
    known = set(deployment.hashes(release_compose(deployment, release)))
    known |= {one.service for one in deployment.settings.switch.colours.values()}
    found: dict[str, list[str]] = {}
    for one in deployment.containers():
        if not one.one_off and one.service not in known:
            found.setdefault(one.service, []).append(one.id)
    return found


def _told(deployment: Deployment, added: dict[str, list[str]], others: list[str]) -> list[str]:
    told = [f"{one} is not of that release: it is stopped and removed, its log and an image of it are kept"
            for one in added]  # fmt: skip
    if added:
        told.append(
            "its volumes stay: `rollback volume list` names them, `rollback volume drop` deletes what nothing needs"
        )
    return [*told, *of_others(deployment, others)]


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Compose.of(deployment, facts).plan()


@dataclass(frozen=True)
class _Compose(Others):
    """What the bad files added goes when the release serves."""

    def _title(self) -> str:
        return f"put the Compose files back as {self.release.version} had them"

    def _more(self) -> tuple[Step, ...]:
        return (self._removed(),) if self.facts["added"] else ()

    def _removed(self) -> Step:
        added = self.facts["added"]
        return Step(
            f"{', '.join(added)} removed",
            f"{self.release.version} does not have it; its log, an image of it and its volumes are kept",
            self._are_removed,
            self._remove,
        )

    def _are_removed(self) -> Reading:
        mine = {one for some in self.facts["added"].values() for one in some}
        left = sorted(one.name for one in self.deployment.containers() if one.id in mine)
        return Reading(not left, f"left: {', '.join(left)}" if left else "none is left")

    def _remove(self) -> None:
        added = self.facts["added"]
        folder = self.deployment.run_folder(self.facts["run"]) / "added"
        Retired(self.deployment, folder, self.facts["run"], added).keep()
        there = {one.id for one in self.deployment.containers()}
        gone = [one for some in added.values() for one in some if one in there]
        if gone:
            self.deployment.engine.ask(commands.remove(gone))
