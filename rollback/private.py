"""The folder of a deployment's state: the operator's alone, and no part of the team's repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folder"]


def folder(path: Path) -> Path:
    """Make it if it is not there, readable by its owner alone and ignored by git; what is there stays as it is.

    Two may do so at once, and one that was killed in between is made good.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignored = path / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")
    return path
