"""A network whose definition was changed is brought back, with everything that is in it, by a real Compose."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from fixtures import runs
from fixtures.command import run
from rollback.deployment import Deployment
from rollback.outcome import Refused
from rollback.parts.networks import Networks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.infrastructure]

REFERENCE = Path(__file__).parent.parent.parent / "fixtures/spheroseg"
FILE = f"""
x-service: &service
  image: spheroseg-drill/nginx:1
  command: ["sleep", "600"]
  init: true
  labels: {{{runs.LABEL}: "{runs.own()}"}}
services:
  a: *service
  b: *service
  apart: {{<<: *service, networks: [other]}}
networks:
  default: {{internal: %s, labels: {{{runs.LABEL}: "{runs.own()}", odd: "a&b <ü>"}}}}
  other: {{labels: {{{runs.LABEL}: "{runs.own()}"}}}}
"""
BOTH = ["a", "b"]


def ids(deployment: Deployment) -> dict[str, str]:
    """Of the containers that run."""
    return {one.service: one.id for one in deployment.containers() if one.running}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Somebody has made the default network internal and brought it up; the file lies there as it was."""
    (tmp_path / "rollback.toml").write_text((REFERENCE / "rollback.toml").read_text(encoding="utf-8"), "utf-8")
    (tmp_path / ".env").write_text(f"COMPOSE_PROJECT_NAME=networks-{token_hex(4)}\n", encoding="utf-8")
    path = tmp_path / "docker-compose.yml"
    path.write_text(FILE % "true", encoding="utf-8")
    run(["docker", "compose", "up", "-d"], cwd=tmp_path).check()
    path.write_text(FILE % "false", encoding="utf-8")
    yield Deployment.load(tmp_path)
    run(["docker", "compose", "down", "--timeout", "1", "--remove-orphans"], cwd=tmp_path).check()


def test_a_network_of_another_definition_is_made_anew_with_all_that_is_in_it(deployment: Deployment) -> None:
    """Only that one; whoever is not in it runs on, and a plain `up` finds nothing to change afterwards."""
    networks, before = Networks(deployment, deployment.compose), ids(deployment)
    assert networks.unlike() == ["default"]
    assert networks.services(["default"]) == BOTH
    assert not networks.reading(["default"], BOTH).holds
    networks.alone(["default"], BOTH)
    networks.anew(["default"], BOTH)
    deployment.engine.ask(deployment.compose.up(BOTH, wait_seconds=20))
    assert networks.unlike() == []
    assert networks.reading(["default"], BOTH).holds
    after = ids(deployment)
    assert after["apart"] == before["apart"]
    assert run(["docker", "exec", after["a"], "getent", "hosts", "b"]).good
    run(["docker", "compose", "up", "-d"], cwd=deployment.root).check()
    assert ids(deployment) == after


def test_a_kill_in_the_middle_is_made_good_by_doing_it_again(deployment: Deployment) -> None:
    """The network is gone, nothing is in it, and the reading says so."""
    networks = Networks(deployment, deployment.compose)
    name = f"{deployment.project}_default"
    for one in BOTH:
        run(["docker", "network", "disconnect", "--force", name, ids(deployment)[one]]).check()
    run(["docker", "network", "rm", name]).check()
    assert not networks.reading(["default"], BOTH).holds
    networks.anew(["default"], BOTH)
    deployment.engine.ask(deployment.compose.up(BOTH, wait_seconds=20))
    assert networks.reading(["default"], BOTH).holds


def test_somebody_else_in_the_network_is_named(deployment: Deployment) -> None:
    """He would lose it."""
    with pytest.raises(Refused, match=r"-b-1 is in it as well"):
        Networks(deployment, deployment.compose).alone(["default"], ["a"])
