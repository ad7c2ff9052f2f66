"""Can a release work with the schema that is there now?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.outcome import Refused
from rollback.release import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Fit", "check", "fit", "notes", "recorded"]


def check(release: Release, applied: list[str]) -> str:
    """Say that the release can work with the applied migrations: all of them, not their head alone.

    Args:
        release: the target; it states the heads it works with.
        applied: the applied migrations, oldest first.

    Raises:
        Refused: naming the migrations that stand between.
    """
    head = applied[-1] if applied else ""
    known = {*release.migrations, *release.works_with}
    between = [one for one in applied if one not in known]
    missing = [one for one in release.migrations if one not in applied]
    gap = [one for one in missing if one < head]
    if head in release.works_with and not between and not gap:
        return f"{release.version} states that it works with migration {head}"
    raise Refused(
        f"{release.version} works with migration {', '.join(release.works_with)}; the database is at {head or 'none'};"
        f" {_what(between, missing)}.",
        "take them back first (newest first), or restore the database from before them"
        if between
        else "apply them first, or choose an older release",
    )


def _what(between: list[str], missing: list[str]) -> str:
    if between:
        return f"migrations stand between: {', '.join(between)}"
    return f"migrations are missing: {', '.join(missing)}"


@dataclass(frozen=True)
class Fit:
    """Whether what runs can work with the database at another migration.

    Attributes:
        dependent: why it cannot; empty where nothing says so.
        unheard: what does not say; empty where somebody does.
    """

    dependent: str
    unheard: str


def fit(deployment: Deployment, head: str) -> Fit:
    """By its own word; by what its release was recorded with where it does not answer: it may only be starting."""
    asked = {role: one for role, one in deployment.settings.services.items() if one.upstream}
    answers = {role: deployment.through_edge(one.version) for role, one in asked.items()}
    silent = [role for role, one in answers.items() if one.version is None]
    stated = [one.stated for one in answers.values() if one.stated]
    stated = stated or [heads for role in silent if (heads := recorded(deployment, role))]
    against = [heads for heads in stated if head not in heads]
    at = f"migration {head or 'none'}"
    return Fit(
        f"what runs works with migration {', '.join(against[0])}, and the database will be at {head or 'none'}"
        if against
        else "",
        f"{', '.join(silent)} does not answer, and no recorded release tells: whether it works with {at} is not known"
        if silent and not stated
        else "",
    )


def recorded(deployment: Deployment, role: str, service: str = "") -> list[str]:
    """What the newest release that was recorded with the image that runs works with.

    Args:
        deployment: the live system.
        role: whose image it is.
        service: the Compose service that runs it, where it is another than the role's own.
    """
    running = {one.image for one in deployment.serving(service or deployment.settings.services[role].service)}
    shelf = Shelf(deployment).all()
    known = [one.works_with for one in shelf if role in one.images and one.images[role].id in running]
    return known[-1] if known else []


def notes(facts: Mapping[str, Any]) -> Iterator[str]:
    """For the plan of what changes the schema, from its facts `dependent` and `unheard`."""
    if facts["dependent"]:
        yield f"{facts['dependent']}: users see errors until the application follows"
    if facts["unheard"]:
        yield facts["unheard"]
