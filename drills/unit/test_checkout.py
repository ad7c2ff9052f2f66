"""Each release is laid out as its team has it, wherever the path leads."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from fixtures import checkout
from fixtures.command import run

if TYPE_CHECKING:
    from pathlib import Path

PATCH = """\
--- a/packages/backend/app.py
+++ b/packages/backend/app.py
@@ -1 +1 @@
-release = "{old}"
+release = "{new}"
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small reference tree with one release before and one candidate, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree = tmp_path / "reference"
    (tree / "packages/backend").mkdir(parents=True)
    (tree / "releases").mkdir()
    (tree / "docker-compose.yml").write_text("services: {}\n")
    (tree / "packages/backend/app.py").write_text('release = "v4.0.0"\n')
    for version in ("v3.9.0", "v4.1.0-crash"):
        (tree / f"releases/{version}.patch").write_text(PATCH.format(old="v4.0.0", new=version))
    return tree


def app(folder: Path) -> str:
    """The source that differs between releases."""
    return (folder / "packages/backend/app.py").read_text()


def test_versions(sources: Path) -> None:
    """The release before comes first, then the current one and the candidates."""
    assert checkout.versions(sources) == ["v3.9.0", "v4.0.0", "v4.1.0-crash"]


@pytest.mark.parametrize("version", ["v3.9.0", "v4.0.0", "v4.1.0-crash"])
def test_release(sources: Path, tmp_path: Path, version: str) -> None:
    """A release has its own sources, and the patches are no part of it."""
    laid = checkout.materialise(version, tmp_path / "with space" / "sféroidy", sources)
    assert app(laid) == f'release = "{version}"\n'
    assert not (laid / "releases").exists()


def test_inside_repository(sources: Path, tmp_path: Path) -> None:
    """A patch is applied inside another repository, where git would skip it without a word."""
    run(["git", "init", "-q", str(tmp_path / "around")]).check()
    laid = checkout.materialise("v3.9.0", tmp_path / "around" / "checkout", sources)
    assert app(laid) == 'release = "v3.9.0"\n'


def test_under_hook(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch is applied when a hook of another repository runs the drills."""
    run(["git", "init", "-q", str(tmp_path / "around")]).check()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "around/.git"))
    assert app(checkout.materialise("v3.9.0", tmp_path / "checkout", sources)) == 'release = "v3.9.0"\n'


def test_unknown_release(sources: Path, tmp_path: Path) -> None:
    """An unknown release is refused with those there are."""
    with pytest.raises(checkout.CheckoutError, match=r"no release v9; there are v3\.9\.0, v4\.0\.0"):
        checkout.materialise("v9", tmp_path / "checkout", sources)


def test_folder_in_use(sources: Path, tmp_path: Path) -> None:
    """A release is never laid over other files."""
    with pytest.raises(checkout.CheckoutError, match="not empty"):
        checkout.materialise("v4.0.0", tmp_path, sources)


def test_misfit(sources: Path, tmp_path: Path) -> None:
    """A patch that does not fit is named."""
    (sources / "packages/backend/app.py").write_text("rewritten\n")
    with pytest.raises(checkout.CheckoutError, match=r"v4\.1\.0-crash\.patch does not fit v4\.0\.0"):
        checkout.materialise("v4.1.0-crash", tmp_path / "checkout", sources)


def test_kept(sources: Path) -> None:
    """A kept tree follows its sources."""
    before = checkout.kept("v4.0.0", sources)
    (sources / "packages/backend/new.py").write_text("")
    assert checkout.kept("v4.0.0", sources) != before
    assert (checkout.kept("v4.0.0", sources) / "packages/backend/new.py").is_file()


def test_repository(sources: Path, tmp_path: Path) -> None:
    """The repository stands clean on the current release."""
    laid = checkout.repository(tmp_path / "tým a vydání", sources)
    assert app(laid) == 'release = "v4.0.0"\n'
    assert run(["git", "status", "--porcelain", "--branch"], cwd=laid).stdout == "## main\n"


def test_tags(sources: Path, tmp_path: Path) -> None:
    """Every tag of the repository is the release of that name."""
    laid = checkout.repository(tmp_path / "team", sources)
    tags = run(["git", "tag"], cwd=laid).stdout.split()
    shown = {tag: run(["git", "show", f"{tag}:packages/backend/app.py"], cwd=laid).stdout for tag in tags}
    assert shown == {version: f'release = "{version}"\n' for version in checkout.versions(sources)}


def test_history(sources: Path, tmp_path: Path) -> None:
    """The history leads over both releases to each candidate."""
    laid = checkout.repository(tmp_path / "team", sources)
    log = run(["git", "log", "--format=%s", "candidate/v4.1.0-crash"], cwd=laid).stdout
    assert log.splitlines() == ["Release v4.1.0-crash", "Release v4.0.0", "Release v3.9.0"]


def test_equal_commits(sources: Path, tmp_path: Path) -> None:
    """Equal sources give equal commits, made at another time."""
    first = checkout.repository(tmp_path / "first", sources)
    shutil.rmtree(tmp_path / "cache")
    second = checkout.repository(tmp_path / "second", sources)
    heads = [run(["git", "rev-parse", "v4.1.0-crash"], cwd=laid).check().stdout for laid in (first, second)]
    assert heads[0] == heads[1]
