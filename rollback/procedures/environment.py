"""Environment rollback: the env files as a release had them, the images as they run (RUNBOOK, Environment Variables).

What Compose makes of the files decides what is restarted: another parser reads quotes, comments and `$` otherwise.
The plan is that of the application, with the images of now: the services start beside with the files of the release,
prove themselves, take over at the edge, and only then are those with the bad files stopped. Other services that the
files change (Redis, the database, the edge) are made anew by Compose on their volumes; the plan says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollback.outcome import NothingToDo, Refused
from rollback.parts import files
from rollback.parts.colours import blue_serves
from rollback.parts.pin import Pin
from rollback.parts.standin import release_compose
from rollback.procedures import application, others, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment
    from rollback.parts.images import ImageRecord
    from rollback.plan import Plan
    from rollback.release import Release

__all__ = ["NAME", "plan", "survey"]

NAME = PART = "environment"


def survey(deployment: Deployment, version: str, run: str) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Raises:
        Refused: unknown, bad or damaged release; Compose cannot read its env files together with the Compose files of
            now (a required variable is missing); they name other images than those that run; another colour serves.
        NothingToDo: files and containers are as in the release already.
    """
    blue_serves(deployment)
    images = target.running(deployment)

    def differs(one: Release) -> bool:
        return bool(files.differing(deployment.root, one.files[PART]))

    release = target.partial(deployment, target.recorded(deployment, version, differs), [PART], images)
    pin = Pin(deployment, release)
    _same_images(pin, images)
    changed, differing = pin.changed_roles(), files.differing(deployment.root, release.files[PART])
    touched = pin.unlike_running()
    if not (changed or differing or touched):
        raise NothingToDo(f"The env files are those of {release.version} already, and what runs was made from them.")
    told = [*(f"{name} is put back" for name in differing), *_keys(deployment, release)]
    told += others.told(deployment, touched)
    return {**target.facts(pin, PART, run, images, changed, told), **others.facts(deployment, touched)}


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return others.plan(deployment, facts) if facts.get("others") else application.plan(deployment, facts)


def _same_images(pin: Pin, images: dict[str, ImageRecord]) -> None:
    names = pin.names()
    ids = pin.deployment.image_ids(names.values())
    for role, name in names.items():
        if ids[name] != images[role].id:
            raise Refused(
                f"With the env files of {pin.release.version} {role} would be {name}, which is not the image that"
                " runs.",
                f"`rollback application {pin.release.version}` goes back with images and files",
            )


def _keys(deployment: Deployment, release: Release) -> Iterator[str]:
    """Which variables change for which service, as Compose reads both; never to what."""
    then = _variables(deployment.config(release_compose(deployment, release)))
    try:
        now = _variables(deployment.config(deployment.compose))
    except Refused:
        yield "Compose cannot read the env files of now: which variables change cannot be told"
        return
    for service in sorted(then.keys() | now.keys()):
        here, there = now.get(service, {}), then.get(service, {})
        changed = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
        if changed:
            yield f"{service}: {', '.join(changed)} change"


def _variables(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one.get("environment") or {} for name, one in config["services"].items()}
