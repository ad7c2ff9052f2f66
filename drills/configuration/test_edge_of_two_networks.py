"""An edge in two networks reaches names in both: files that name them are tested where both can be found."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.errors import APIError

from fixtures import runs
from rollback.deployment import Deployment
from rollback.outcome import Refused
from rollback.parts import nginx
from rollback.parts.edge import MARKER_HOST, Route, upstreams

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.configuration]

REFERENCE = Path(__file__).parent.parent.parent / "fixtures/spheroseg"
IMAGE = "spheroseg-drill/nginx:1"
CONFIGURATION = """events {}
http {
    include /etc/nginx/spheroseg/upstream.conf;
    server { listen 80 default_server; location / { proxy_pass http://backend; } }
}
"""
NAMES = ("front", "back")


@dataclass
class Two:
    """A checkout whose edge is in two networks, with a name that answers in each of them."""

    folder: Path
    made: list[Any]
    edge: Any

    def leads(self, server: str) -> None:
        """The upstream file of the checkout."""
        text = upstreams([Route("backend", f"{server}:80")], "g1", 80)
        (self.folder / "nginx/upstream.conf").write_text(text, encoding="utf-8")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """The edge is in the network of `front` first."""
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/nginx.conf").write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "rollback.toml").write_text((REFERENCE / "rollback.toml").read_text(encoding="utf-8"), "utf-8")
    mine, made = {runs.LABEL: runs.own()}, list[Any]()
    with closing(docker.from_env()) as client:
        try:
            for name in NAMES:
                made.append(client.networks.create(f"two-{name}-{token_hex(4)}", labels=mine))
                made.append(client.containers.run(IMAGE, ["sleep", "600"], detach=True, labels=mine))
                made[-2].connect(made[-1], aliases=[name])
            folder = {str(tmp_path / "nginx"): {"bind": "/etc/nginx/spheroseg", "mode": "ro"}}
            edge = client.containers.create(
                IMAGE, ["sleep", "600"], labels=mine, volumes=folder, network=made[0].name, detach=True
            )
            made.append(edge)
            made[2].connect(edge)
            edge.start()
            yield Two(tmp_path, made, edge)
        finally:
            for one in reversed(made):
                with suppress(APIError):
                    one.remove(**({"force": True, "v": True} if hasattr(one, "exec_run") else {}))


@pytest.fixture
def deployment(two: Two, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """The deployment of that checkout."""

    def serving(_: Deployment, __: str) -> list[Any]:
        return [two.edge]

    monkeypatch.setattr(Deployment, "serving", serving)
    return Deployment.load(two.folder)


@pytest.mark.parametrize("server", NAMES)
def test_a_name_of_either_network_is_found(two: Two, deployment: Deployment, server: str) -> None:
    """Whichever network is the first one."""
    two.leads(server)
    assert MARKER_HOST in nginx.test(deployment, two.folder, ["nginx/nginx.conf"])


def test_a_name_of_neither_is_refused(two: Two, deployment: Deployment) -> None:
    """In nginx's own words, and nothing is left of the trial."""
    two.leads("nowhere")
    with pytest.raises(Refused, match="host not found in upstream"):
        nginx.test(deployment, two.folder, ["nginx/nginx.conf"])
    with closing(docker.from_env()) as client:
        assert not client.containers.list(all=True, filters={"name": "rollback-nginx-test-", "network": two.made[2].id})
