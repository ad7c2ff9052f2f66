"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["HERE", "AsJson", "Directory", "PlanOnly", "Yes"]

Directory = Annotated[
    Path, typer.Option("-C", "--directory", help="Checkout of the deployment: the folder with rollback.toml.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output; progress on standard error.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Print what would change and why; touch nothing.")]
HERE = Path()
