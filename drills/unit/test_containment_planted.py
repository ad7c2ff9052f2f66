"""What an intruder has made of the checkout is kept before it is put right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollback.containment.planted import Planted
from rollback.deployment import Deployment
from rollback.parts import files
from rollback.parts.pin import Pin
from rollback.release import Release, write_manifest

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
CONF, GONE, LED, EXTRA = "nginx/nginx.conf", "nginx/gone.conf", "nginx/led.conf", "nginx/his.conf"


@pytest.fixture
def checkout(tmp_path: Path) -> Deployment:
    """A recorded release, and what somebody has made of its files since."""
    root = tmp_path / "checkout"
    (root / "nginx").mkdir(parents=True)
    (root / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    for name in (CONF, GONE, LED):
        (root / name).write_text("right\n", encoding="utf-8")
    found = Deployment.load(root)
    folder = found.state / "releases" / "v1"
    kept = {"nginx": files.capture(root, ["nginx"], folder / "files")}
    write_manifest(Release("v1", "v1", folder, {}, kept, "", [], [], None, None))
    for name in (CONF, EXTRA):
        (root / name).write_text("his\n", encoding="utf-8")
    for name in (GONE, LED):
        (root / name).unlink()
    (root / LED).symlink_to("/etc/shadow")
    return found


def test_a_changed_file_is_kept_before_it_is_overwritten(
    checkout: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As he left it, a link as a link; where evidence was not sealed before, nobody would know what he changed."""
    monkeypatch.setattr(Pin, "put", lambda _: None)
    recorded: Any = None
    Planted(checkout, tmp_path / "run", "run", "v1", recorded)._files()  # noqa: SLF001 -- no server is asked
    aside = tmp_path / "run/planted"
    assert sorted(str(one.relative_to(aside)) for one in aside.rglob("*.conf")) == [EXTRA, LED, CONF]
    assert [(aside / one).read_text(encoding="utf-8") for one in (CONF, EXTRA)] == ["his\n", "his\n"]
    assert str((aside / LED).readlink()) == "/etc/shadow"
    right = sorted(str(one.relative_to(checkout.root)) for one in checkout.root.glob("nginx/*"))
    assert right == [GONE, LED, CONF]
    assert {(checkout.root / one).read_text(encoding="utf-8") for one in right} == {"right\n"}
