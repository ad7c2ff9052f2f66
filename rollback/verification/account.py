"""The account that signs in to see whether users can: [verify] in rollback.toml."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from rollback.deployment import Deployment

__all__ = ["Account", "account"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Account:
    """Who signs in."""

    login: str
    password: str = field(repr=False)


def account(deployment: Deployment) -> Account:
    """The account of rollback.toml with its password from a file that its owner alone can read.

    Raises:
        NotTested: none is named, or its password cannot be used.
    """
    table = deployment.settings.verify
    if table.account is None or table.password_file is None:
        raise NotTested(
            "no account signs in",
            "name `account` and `password_file` in [verify] of rollback.toml; best one of its own",
        )
    path = deployment.root / Path(table.password_file).expanduser()
    if not path.is_file():
        raise NotTested(f"there is no file {table.password_file} with the password", "write it, `chmod 600`")
    if path.stat().st_mode & _OTHERS:
        raise NotTested(f"others than its owner can read {table.password_file}", f"`chmod 600 {table.password_file}`")
    return Account(table.account, path.read_text(encoding="utf-8").rstrip("\r\n"))
