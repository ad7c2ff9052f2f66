"""Compose is linked where it is missing, and nothing of the user's is overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import compose

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    """A docker-compose."""
    path = tmp_path / "docker-compose"
    path.write_text("#!/bin/sh\n")
    return path


def test_missing_plugin(tmp_path: Path, binary: Path) -> None:
    """A missing plugin is linked, and that is said."""
    said: list[str] = []
    compose.link(binary, tmp_path / "new" / "plugin", said.append)
    assert (tmp_path / "new" / "plugin").resolve() == binary
    assert len(said) == 1


def test_dangling_link(tmp_path: Path, binary: Path) -> None:
    """A link that leads nowhere is replaced."""
    plugin = tmp_path / "plugin"
    plugin.symlink_to(tmp_path / "gone")
    compose.link(binary, plugin, lambda _line: None)
    assert plugin.resolve() == binary


def test_foreign_file(tmp_path: Path, binary: Path) -> None:
    """A file of the user's is never overwritten."""
    plugin = tmp_path / "plugin"
    plugin.write_text("the user's")
    with pytest.raises(compose.ComposeError, match="remove it"):
        compose.link(binary, plugin, lambda _line: None)
    assert plugin.read_text() == "the user's"


@pytest.mark.parametrize(
    ("version", "recent"), [("1.29.2", False), ("2.0.1", True), ("5.6.1", True), ("10.1", True), ("", False)]
)
def test_oldest(version: str, *, recent: bool) -> None:
    """Version 2 is the oldest that will do."""
    assert compose.recent(version) is recent


def test_configuration_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DOCKER_CONFIG says where the plugin belongs."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert compose.plugin_path() == tmp_path / "cli-plugins" / "docker-compose"
