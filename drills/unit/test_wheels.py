"""The libraries of the services come from the host's index, for the image's Python."""

from __future__ import annotations

from pathlib import Path

from fixtures import catalogue, wheels

REQUIREMENTS = Path(catalogue.__file__).parent / "images/python/requirements.txt"


def test_pinned() -> None:
    """Every library is pinned."""
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "==" not in line] == []


def test_platform(tmp_path: Path) -> None:
    """Binaries are taken, for the Python and the architecture of the image."""
    argv = wheels.arguments(REQUIREMENTS, "aarch64", tmp_path)
    assert {"--only-binary=:all:", "--no-deps", "--python-version=3.11"} <= set(argv)
    assert "--platform=manylinux2014_aarch64" in argv


def test_verification(tmp_path: Path) -> None:
    """Nothing weakens the verification of the index."""
    assert not any("trusted-host" in word for word in wheels.arguments(REQUIREMENTS, "x86_64", tmp_path))
