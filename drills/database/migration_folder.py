"""Migrations of a test, written into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BASE = "CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL, size bigint NOT NULL);"


def written(folder: Path, files: dict[str, str]) -> list[Path]:
    """Where they lie now, in the order in which they were named."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def pair(up: str, down: str, base: str = BASE) -> dict[str, str]:
    """A base and one migration with its rollback."""
    return {"001_base.sql": base, "002_one.sql": up, "002_one_rollback.sql": down}
