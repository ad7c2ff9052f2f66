"""[containment] of rollback.toml: what is done after a breach. Unknown keys are errors."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rollback.outcome import UsageError
from rollback.tables import COLUMN, QUALIFIED, Table

__all__ = ["ContainmentTable", "UsersTable", "check"]


Kind = Annotated[str, Field(pattern=rf"^(?:random|database(?::{COLUMN.strip('^$')})?|redis|keep)$")]


class UsersTable(Table):
    """[containment.users]: where accounts are kept, and how one is told to set a new password.

    Attributes:
        table: without a schema it is of `public`.
        password: column of the hash; NULL for an account that has none.
        flag: column that asks for a new password at the next sign-in.
        created: column that says since when there is the account.
    """

    table: str = Field(default="users", pattern=QUALIFIED)
    id: str = Field(default="id", pattern=COLUMN)
    password: str = Field(default="password_hash", pattern=COLUMN)
    flag: str = Field(default="must_reset_password", pattern=COLUMN)
    created: str = Field(default="created_at", pattern=COLUMN)


class ContainmentTable(Table):
    """[containment]: what is done after a breach.

    Attributes:
        archive: folder of sealed evidence, outside of the checkout.
        allow: addresses (CIDR) of operators who get past the maintenance page.
        retry_after: seconds that the maintenance page names.
        secrets: what is rotated wherever an env file has it: `random` for a value of its own, `database` and `redis`
            for the one password (a URL keeps the rest), `database:ROLE` for that of another role, `keep` for what only
            looks like a secret, and for a password that its program has taken over at its first start, as Grafana does:
            that one is changed there. Also for a key in `environment:` of a Compose file, and the name of one of its
            `secrets:`: nothing here rewrites them.
        roles: the roles of the database that belong to the deployment; all others lose their sign-in.
        tokens: tables of tokens and sessions -> the column whose time ends one; a name without a schema is of `public`.
        redis: service that keeps sessions; None where there is none.
        session_keys: patterns of their keys.
        users: where accounts are kept.
    """

    archive: str | None = None
    allow: list[str] = Field(default_factory=list)
    retry_after: int = Field(default=300, ge=1, le=86400)
    secrets: dict[str, Kind] = Field(default_factory=dict)
    roles: list[str] = Field(default_factory=list)
    tokens: dict[str, str] = Field(default_factory=dict)
    redis: str | None = None
    session_keys: list[str] = Field(default_factory=list)
    users: UsersTable = UsersTable()


def check(path: Path, root: Path, table: ContainmentTable) -> None:
    """Say that the evidence lies outside, addresses are addresses, and tokens have tables and columns.

    Args:
        path: of rollback.toml, for the sentence.
        root: the checkout.
        table: what was read.

    Raises:
        UsageError: which of them is not so.
    """
    if table.archive and (root / Path(table.archive).expanduser()).resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"{path}: [containment] archive `{table.archive}` lies in the checkout, which the intruder may own.",
            "name a folder outside of it",
        )
    for one in table.allow:
        try:
            ip_network(one)
        except ValueError:
            raise UsageError(
                f"{path}: [containment] allow holds `{one}`.", "write addresses as 192.0.2.7 or 192.0.2.0/24"
            ) from None
    for name, column in table.tokens.items():
        if not (re.fullmatch(QUALIFIED, name) and re.fullmatch(COLUMN, column)):
            raise UsageError(f"{path}: [containment.tokens] {name} = `{column}` is no table and column.", "mend it")
