"""rollback.toml: which service plays which role, and where its parts lie. Unknown keys are errors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import Field, ValidationError

from rollback.containment.table import ContainmentTable, check
from rollback.outcome import UsageError
from rollback.recovery.table import RecoveryTable
from rollback.tables import (
    BackupTable,
    CertificatesTable,
    ComposeTable,
    DatabaseTable,
    DeploymentTable,
    EdgeTable,
    MigrationsTable,
    MonitoringTable,
    NotifyTable,
    ObjectivesTable,
    PartsTable,
    Service,
    SwitchTable,
    Table,
    TimingTable,
    VerifyTable,
    WatchTable,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["FILE", "Service", "Settings", "load"]

FILE = "rollback.toml"
_COLOURS = 2


class Settings(Table):
    """The whole of rollback.toml."""

    deployment: DeploymentTable
    compose: ComposeTable = ComposeTable()
    edge: EdgeTable
    database: DatabaseTable
    backup: BackupTable = BackupTable()
    services: dict[str, Service] = Field(min_length=1)
    migrations: MigrationsTable = MigrationsTable()
    parts: PartsTable = PartsTable()
    certificates: CertificatesTable = CertificatesTable()
    monitoring: MonitoringTable = MonitoringTable()
    objectives: ObjectivesTable = ObjectivesTable()
    timing: TimingTable = TimingTable()
    contacts: dict[str, str] = Field(default_factory=dict)
    notify: NotifyTable = NotifyTable()
    switch: SwitchTable = SwitchTable()
    containment: ContainmentTable = ContainmentTable()
    watch: WatchTable = WatchTable()
    verify: VerifyTable = VerifyTable()
    recovery: RecoveryTable = RecoveryTable()


def load(root: Path) -> Settings:
    """Read and validate rollback.toml in the given folder.

    Raises:
        UsageError: with one sentence that names the key, what was found and what is allowed.
    """
    path = root / FILE
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"There is no {FILE} in {root}.", "go to the checkout of the deployment, or name it with -C FOLDER"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "name the checkout with -C FOLDER") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "mend that line") from None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{path}: {_sentence(error.errors()[0])}", "mend that key") from None
    _check_paths(path, root, settings)
    _check_contacts(path, settings)
    _check_switch(path, settings)
    check(path, root, settings.containment)
    if settings.watch.bad_windows > settings.watch.windows:
        raise UsageError(
            f"{path}: [watch] bad_windows is {settings.watch.bad_windows} of {settings.watch.windows} windows.",
            "make it no larger than `windows`",
        )
    return settings


def _check_switch(path: Path, settings: Settings) -> None:
    table = settings.switch
    if not table.colours:
        return
    if len(table.colours) != _COLOURS:
        raise UsageError(f"{path}: [switch.colours] names {len(table.colours)} colours.", "name two, or none")
    if table.role not in settings.services:
        known = ", ".join(settings.services)
        raise UsageError(f"{path}: [switch] names the role `{table.role}`; there are: {known}.", "name one of those")
    if table.bake_seconds >= settings.edge.drain_seconds:
        raise UsageError(
            f"{path}: [switch] bake_seconds is {table.bake_seconds:g} and [edge] drain_seconds"
            f" {settings.edge.drain_seconds}: the old colour's connections would be cut before it is over.",
            "make the first one smaller",
        )


def _check_contacts(path: Path, settings: Settings) -> None:
    table = settings.notify
    for name in (*table.minor, *table.major, *table.critical):
        if name not in settings.contacts:
            known = ", ".join(settings.contacts) or "none"
            raise UsageError(
                f"{path}: [notify] names the contact `{name}`; there are: {known}.", "add it to [contacts]"
            )


def _sentence(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key `{where}`; allowed there: {', '.join(sorted(_allowed(error['loc'])))}."
    if error["type"] == "missing":
        return f"the key `{where}` is missing."
    return f"`{where}` is {error['input']!r}: {error['msg']}."


def _allowed(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at this place; below a table of tables any name may stand."""
    model: Any = Settings
    for part in loc[:-1]:
        named = get_args(model)[1:] if get_origin(model) is dict else ()
        model = named[0] if named else model.model_fields[str(part)].annotation
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def _check_paths(path: Path, root: Path, settings: Settings) -> None:
    named = [*settings.compose.files, *settings.compose.env_files, settings.edge.upstream_file]
    optional = (settings.edge.closing_file, settings.edge.maintenance_file, settings.certificates.authorities_file)
    named += [one for one in optional if one]
    named += [*settings.parts.nginx, *settings.parts.certificates, *settings.parts.monitoring]
    named += [*settings.monitoring.files, *settings.monitoring.env_files]
    named += [service.build for service in settings.services.values() if service.build]
    named += [settings.migrations.folder, settings.migrations.rollbacks]
    named += [name for colour in settings.switch.colours.values() for name in colour.files]
    for name in [*named, settings.deployment.state]:
        if Path(name).is_absolute() or not (root / name).resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{path}: the path `{name}` leads out of the checkout.", "name a path inside it")
