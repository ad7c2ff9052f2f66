"""A listener with an RSA and an ECDSA certificate shows each client one of them: both are proven, on a real nginx."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from trustme import KeyType

from fixtures import runs
from fixtures.authority import Authority
from rollback.deployment import Deployment
from rollback.parts import nginx
from rollback.parts.certificates import shown
from rollback.parts.nginx import Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docker.models.containers import Container

    from rollback.engine import Result

pytestmark = [pytest.mark.engine, pytest.mark.configuration]

REFERENCE = Path(__file__).parent.parent.parent / "fixtures/spheroseg"
KINDS = {"rsa": KeyType.RSA, "ecdsa": KeyType.ECDSA}
FILES = " ".join(
    f"ssl_certificate /etc/tls/{kind}/fullchain.pem; ssl_certificate_key /etc/tls/{kind}/privkey.pem;" for kind in KINDS
)
SERVER = f"listen 443 ssl; server_name spheroseg.test; {FILES} return 204;"
CONFIGURATION = f"events {{}} http {{ server {{ {SERVER} }} }}"

UP = ["curl", "-sk", "--retry", "50", "--retry-connrefused", "--retry-delay", "1", "https://127.0.0.1/"]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[Path, Container]]:
    """A real nginx with both certificates, and the folder where they lie."""
    authority, folder = Authority(tmp_path / "authority"), tmp_path / "tls"
    for kind, key in KINDS.items():
        authority.issue("spheroseg.test", key_type=key).write(folder / kind)
    (folder / "nginx.conf").write_text(CONFIGURATION, encoding="utf-8")
    with closing(docker.from_env()) as client:
        nginx_alone = client.containers.run(
            "spheroseg-drill/nginx:1",
            ["nginx", "-c", "/etc/tls/nginx.conf", "-g", "daemon off;"],
            detach=True,
            labels={runs.LABEL: runs.own()},
            volumes={str(folder): {"bind": "/etc/tls", "mode": "ro"}},
            network_mode="none",
        )
        try:
            assert nginx_alone.exec_run(UP).exit_code == 0
            yield folder, nginx_alone
        finally:
            nginx_alone.remove(force=True, v=True)


@pytest.fixture
def deployment(edge: tuple[Path, Container], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A checkout whose edge this is."""
    text = (REFERENCE / "rollback.toml").read_text(encoding="utf-8").replace('names = ["localhost"]', "names = []")
    (tmp_path / "rollback.toml").write_text(text, encoding="utf-8")

    def asked(deployment: Deployment, command: Sequence[str]) -> Result:
        return deployment.engine.run(["docker", "exec", str(edge[1].id), *command])

    monkeypatch.setattr(Deployment, "in_edge", asked)
    monkeypatch.setattr(nginx, "places", lambda _: Places({}, tmp_path, {"/etc/tls": Path("tls")}))
    monkeypatch.setattr(nginx, "dump", lambda _: CONFIGURATION)
    return Deployment.load(tmp_path)


def test_both_are_shown_to_those_who_can_verify_them(deployment: Deployment) -> None:
    """Two fingerprints, although one client sees one of them."""
    now = shown(deployment)
    assert now.holds, now.seen
    assert now.seen.count(",") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_one_beside_a_new_one_is_seen(deployment: Deployment, edge: tuple[Path, Container], kind: str) -> None:
    """Whichever of them the edge goes on with."""
    Authority(edge[0].parent / "other").issue("spheroseg.test", key_type=KINDS[kind]).write(edge[0] / kind)
    now = shown(deployment)
    assert not now.holds
    assert now.seen.count("shows") == 1
