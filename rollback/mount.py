"""The words of a mount, as docker reads them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bind"]


def bind(source: Path, target: str) -> str:
    """The words of a bind mount, for any path: docker reads them as a line of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(["type=bind", f"source={source}", f"target={target}"])
    return out.getvalue()
