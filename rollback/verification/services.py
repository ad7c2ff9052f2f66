"""Containers, and what the services say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["health", "identities", "services"]

_OK = 200


def services(deployment: Deployment) -> Seen:
    """Every service of the Compose files runs and is healthy."""
    wanted = set(deployment.config(deployment.compose)["services"])
    well = {one.service for one in deployment.containers() if one.well and not one.one_off}
    ill = sorted(wanted - well)
    return not ill, f"not well: {', '.join(ill)}" if ill else f"{len(wanted)} of {len(wanted)} running and healthy"


def health(deployment: Deployment) -> Seen:
    """The API says through the edge that it can work."""
    for role, service in deployment.settings.services.items():
        if service.upstream and service.health.startswith("/api"):
            answer = deployment.through_edge(service.health)
            told = f"{role} {service.health} answered {answer.status or 'nothing'}: {answer.body[:300]}"
            return answer.status == _OK, told
    return False, "rollback.toml names no service with a health path under /api"


def identities(deployment: Deployment) -> dict[str, str]:
    """What each released service answers as its version, asked from inside the edge; "" for no answer."""
    there = {one.service: one.name for one in deployment.containers() if one.running and not one.one_off}
    asked = {role: one for role, one in deployment.settings.services.items() if one.service in there}
    urls = [f"http://{there[one.service]}:{one.port}{one.version}" for one in asked.values()]
    answers = deployment.fetch_all(urls) if urls else []
    said = {role: answer.version or "" for role, answer in zip(asked, answers, strict=True)}
    return {role: said.get(role, "") for role in deployment.settings.services}
