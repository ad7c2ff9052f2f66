"""The patched release of a containment: what it needs, and that no rollback leads back to the hole."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollback.containment.source import Patch
from rollback.deployment import Deployment
from rollback.outcome import Refused
from rollback.parts import files
from rollback.parts.images import ImageRecord
from rollback.release import Release, Shelf, write_manifest

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
ENV, TEXT = ".env", "SPHEROSEG_VERSION=v1.0.0\nOTHER='v1.0.0'\nNOTE=v1.0.0 is fine\nFAR=v1.0.01\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A checkout with one env file and the release with the hole; images of v1.0.1 are here."""
    (tmp_path / "rollback.toml").write_text((REFERENCE / "rollback.toml").read_text("utf-8"), encoding="utf-8")
    (tmp_path / ENV).write_text(TEXT, encoding="utf-8")
    found = Deployment.load(tmp_path)
    monkeypatch.setattr(
        Deployment, "image_ids", lambda _, names: {one: "sha256:1" if one.endswith("v1.0.1") else None for one in names}
    )
    return found


def holed(deployment: Deployment, name: str = "own/backend:v1.0.0") -> Release:
    """The release that was recorded before the breach."""
    folder = deployment.state / "releases/v1.0.0"
    kept = {"environment": files.capture(deployment.root, [ENV], folder / "files")}
    image = ImageRecord("backend", "backend", "sha256:0", name, "kept:v1.0.0", "v1.0.0")
    release = Release("v1.0.0", "2025-01-01", folder, {"backend": image}, kept, "", [], [], None, None)
    write_manifest(release)
    return release


def test_the_env_files_name_it_and_the_hole_is_no_target(checkout: Deployment) -> None:
    """Whole values alone are changed; the release before is bad from then on, and its files can still be read."""
    patch = Patch(checkout, holed(checkout), "v1.0.1")
    patch.possible()
    assert not patch.reading().holds
    patch.name()
    assert patch.reading().holds
    text = (checkout.root / ENV).read_text(encoding="utf-8")
    assert text == "SPHEROSEG_VERSION=v1.0.1\nOTHER='v1.0.1'\nNOTE=v1.0.0 is fine\nFAR=v1.0.01\n"
    assert patch.is_named_in(ENV)
    with pytest.raises(Refused, match=r"v1\.0\.0 is marked bad: its hole was used, and v1\.0\.1 closes it"):
        Shelf(checkout).good("v1.0.0")
    assert Shelf(checkout).whole("v1.0.0").version == "v1.0.0"


def test_named_but_not_marked_is_not_done(checkout: Deployment) -> None:
    """Killed between the two: the hole would still be a target."""
    patch = Patch(checkout, holed(checkout), "v1.0.1")
    (checkout.root / ENV).write_text(TEXT.replace("=v1.0.0\n", "=v1.0.1\n").replace("'v1.0.0'", "'v1.0.1'"))
    assert patch.is_named_in(ENV)
    assert "not marked bad" in patch.reading().seen
    assert not patch.reading().holds


def test_whatever_else_was_written_into_an_env_file_is_no_patch(checkout: Deployment) -> None:
    """An origin of the intruder's, say."""
    patch = Patch(checkout, holed(checkout), "v1.0.1")
    patch.name()
    with (checkout.root / ENV).open("a", encoding="utf-8") as file:
        file.write("ALLOWED_ORIGINS=https://evil.invalid\n")
    assert not patch.is_named_in(ENV)
    assert not patch.reading().holds


def test_what_cannot_be_started_is_refused_before_anything_is_shut(checkout: Deployment) -> None:
    """No such image, an image that is not tagged with a release, no env file that names one."""
    release = holed(checkout)
    with pytest.raises(Refused, match=r"own/backend:v9 is not here"):
        Patch(checkout, release, "v9").possible()
    with pytest.raises(Refused, match=r"No image of v1\.0\.0 is tagged with its release"):
        Patch(checkout, holed(checkout, "own/backend:stable"), "v1.0.1").possible()
    (checkout.root / ENV).write_text("SPHEROSEG_TAG=stable\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"No env file names v1\.0\.0"):
        Patch(checkout, holed(checkout), "v1.0.1").possible()
