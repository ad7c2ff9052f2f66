"""[recovery] of rollback.toml: how a deployment that was rebuilt is seen to work."""

from __future__ import annotations

from pydantic import Field

from rollback.tables import Table

__all__ = ["RecoveryTable", "UserTable"]


class UserTable(Table):
    """[[recovery.users]]: one thing that a user does, asked through the edge after everything was rebuilt, in order.

    In `path` and in the values of `json` and `headers`, {email}, {password} and {name} are those of an account for
    this one check, and what `keep` has kept of an earlier answer goes by its name there.

    Attributes:
        name: what it shows, e.g. "sign in".
        status: that the answer has to have.
        keep: name -> key of the JSON answer.
        says: key of the JSON answer -> the text that it has to have.
    """

    name: str
    method: str = "GET"
    path: str = Field(pattern=r"^/")
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, str] = Field(default_factory=dict)
    status: int = Field(default=200, ge=100, le=599)
    keep: dict[str, str] = Field(default_factory=dict)
    says: dict[str, str] = Field(default_factory=dict)


class RecoveryTable(Table):
    """[recovery]: how a deployment is rebuilt from a full backup.

    Attributes:
        folder: where full backups lie; best on another disk, or another host.
        keep_daily: so many of the newest days with full backups keep one; weekly and monthly alike.
        keep_verified: so many proven ones stay whatever the other figures say.
        first: services that come up first, in this order, each when the one before is ready.
        monitoring: volumes of the monitoring stack, by their names on the engine.
        users: what users have to be able to do afterwards.
        tidy: statement that takes the account of this check away again; %(email)s is its address.
    """

    folder: str = ".rollback/full"
    keep_daily: int = Field(default=3, ge=0, le=3660)
    keep_weekly: int = Field(default=2, ge=0, le=520)
    keep_monthly: int = Field(default=1, ge=0, le=1200)
    keep_verified: int = Field(default=2, ge=1, le=1000)
    first: list[str] = Field(default_factory=list)
    monitoring: list[str] = Field(default_factory=list)
    users: list[UserTable] = Field(default_factory=list)
    tidy: str = ""
