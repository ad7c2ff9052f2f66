"""The tables of rollback.toml, one class each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "COLUMN",
    "QUALIFIED",
    "BackupTable",
    "CertificatesTable",
    "ColourTable",
    "ComposeTable",
    "DatabaseTable",
    "DeploymentTable",
    "EdgeTable",
    "MigrationsTable",
    "MonitoringTable",
    "NotifyTable",
    "ObjectivesTable",
    "PartsTable",
    "Service",
    "SwitchTable",
    "Table",
    "TimingTable",
    "UploadsTable",
    "VerifyTable",
    "WatchTable",
]

COLUMN = r"^[A-Za-z_][A-Za-z0-9_]*$"
QUALIFIED = r"^[A-Za-z_][A-Za-z0-9_.]*$"


class Table(BaseModel):
    """A table of rollback.toml: an unknown key is an error, and a value is what its type says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DeploymentTable(Table):
    """[deployment]: what this deployment is called and where the rollback keeps its state."""

    name: str
    state: str = ".rollback"


class ComposeTable(Table):
    """[compose]: the files a plain `docker compose up -d` in the checkout reads."""

    files: list[str] = Field(default=["docker-compose.yml"], min_length=1)
    profiles: list[str] = []
    env_files: list[str] = [".env"]


class EdgeTable(Table):
    """[edge]: the nginx that users reach, and the file that says which containers serve.

    Attributes:
        closing_file: while it exists, nginx ends each connection after its answer; without such a file a
            client that sends on an idle connection in the instant of a reload sees an error.
        maintenance_file: while it exists, nginx keeps users out; no rollback takes that decision back.
        closing_seconds: how long to wait at most for idle connections to end before a reload.
        drain_seconds: how long requests in flight may outlive a switch.
        linger_seconds: how long the replaced release stays for the assets of pages it has handed out.
    """

    service: str
    http_port: int = 80
    https_port: int | None = None
    upstream_file: str
    reload: list[str] = ["nginx", "-s", "reload"]
    test: list[str] = ["nginx", "-t"]
    closing_file: str | None = None
    maintenance_file: str | None = None
    closing_seconds: float = Field(default=3.0, ge=0, le=600)
    drain_seconds: int = Field(default=30, ge=1, le=3600)
    linger_seconds: float = Field(default=1.0, ge=0, le=600)


class DatabaseTable(Table):
    """[database]: the PostgreSQL service and the table in which migrations are recorded."""

    service: str
    name: str
    user: str = "postgres"
    history: str = Field(default="schema_migrations", pattern=QUALIFIED)


class UploadsTable(Table):
    """[backup.uploads]: where uploaded files lie, and which column of which table names them.

    Attributes:
        sha256: column with the hash of the content; empty where there is none.
    """

    service: str = "backend"
    path: str = Field(default="/data/uploads", pattern=r"^/")
    table: str = Field(default="public.images", pattern=QUALIFIED)
    name: str = Field(default="storage_name", pattern=COLUMN)
    sha256: str = Field(default="sha256", pattern=rf"{COLUMN}|^$")


class BackupTable(Table):
    """[backup]: where backups lie, for whom they are sealed, and how long they stay.

    Attributes:
        folder: inside the checkout or absolute; best on another disk than the database.
        signing_key: the private key, 0600, made by the first backup; the public one lies beside it as *.pub.
        recipients: age public keys.
        identity_file: file of the age private keys, 0600; best not on this host.
        keep_daily: so many of the newest days with backups keep one; weekly and monthly alike.
        keep_verified: so many proven ones stay whatever the other figures say.
        max_age_hours: the newest proven one should be no older.
    """

    folder: str = ".rollback/backups"
    signing_key: str = ".rollback/signing.key"
    recipients: list[str] = []
    identity_file: str | None = None
    keep_daily: int = Field(default=7, ge=0, le=3660)
    keep_weekly: int = Field(default=5, ge=0, le=520)
    keep_monthly: int = Field(default=12, ge=0, le=1200)
    keep_verified: int = Field(default=3, ge=1, le=1000)
    max_age_hours: float = Field(default=26, gt=0)
    uploads: UploadsTable = UploadsTable()


class MigrationsTable(Table):
    """[migrations]: where the checkout keeps them.

    Attributes:
        folder: the numbered SQL files.
        rollbacks: where scripts to take them back lie, unless beside them or in `rollback/` below.
        lock_key: the advisory lock under which the application itself migrates, if it takes one.
    """

    folder: str = "migrations"
    rollbacks: str = "scripts/rollback"
    lock_key: int | None = None


class Service(Table):
    """[services.ROLE]: a service that is released: its port and the paths that prove what it is.

    Attributes:
        upstream: name of the nginx upstream that leads to it; None for a service that users do not reach
            through the edge (a worker).
        version: path that answers JSON with a key `version`.
        health: path that answers 200 when the service can work.
        assets: the edge may ask the release before for files that this one does not have (a page that was
            loaded just before the switch asks for its assets just after it).
        build: folder to rebuild a lost image from, in the checkout of the release's git tag.
    """

    service: str
    port: int
    upstream: str | None = None
    version: str
    health: str
    assets: bool = False
    build: str | None = None


class PartsTable(Table):
    """[parts]: files and folders that a release records beside the Compose and env files."""

    nginx: list[str] = []
    certificates: list[str] = []
    monitoring: list[str] = []


class MonitoringTable(Table):
    """[monitoring]: the Compose project that watches this one; its files are `monitoring` of [parts].

    Attributes:
        files: its Compose files; none where there is no such project.
        env_files: files of it that hold secrets.
        seconds: how long its targets may take to be seen up again: some scrape intervals.
    """

    files: list[str] = []
    env_files: list[str] = []
    prometheus: str = "prometheus"
    prometheus_port: int = 9090
    alertmanager: str = "alertmanager"
    alertmanager_port: int = 9093
    seconds: float = Field(default=60, ge=1, le=3600)


class CertificatesTable(Table):
    """[certificates]: what a certificate of the edge has to be before it serves.

    Attributes:
        names: host names that users ask for, beside those that nginx's configuration names.
        authorities_file: certificates of authorities that users trust beside the public ones.
        days: so long it has to be good still.
    """

    names: list[str] = []
    authorities_file: str | None = None
    days: float = Field(default=3.0, ge=0, le=3650)


class ColourTable(Table):
    """[switch.colours.NAME]: one of two copies of a released service.

    Attributes:
        service: its Compose service.
        files: Compose files that define it, beside those of [compose].
    """

    service: str
    files: list[str] = []


class SwitchTable(Table):
    """[switch]: two colours of one released service, of which the edge leads to one.

    Attributes:
        role: the released service, a key of [services].
        colours: exactly two, by name; none where there is no second copy.
        bake_seconds: how long the new colour is watched before the old one is let go; the edge keeps the old one's
            connections as long, so it is below [edge] drain_seconds.
        farewell: command within the colour that is left, to have it end its WebSockets in an orderly way.
    """

    role: str = "backend"
    colours: dict[str, ColourTable] = {}
    bake_seconds: float = Field(default=10.0, ge=0, le=3600)
    farewell: list[str] = []


class ObjectivesTable(Table):
    """[objectives]: the longest time to recovery by kind of procedure, in seconds; documents hold what took against it.

    `recovery` also bounds how long a database that was left may take to answer when it is examined.
    """

    application: int = 300
    database: int = 900
    configuration: int = 120
    recovery: int = 1800

    def of(self, procedure: str) -> float | None:
        """Of a procedure as the journal names it; None where no objective is for it."""
        return next((float(getattr(self, kind)) for kind, some in _PROCEDURES.items() if procedure in some), None)


#: RUNBOOK, Quick Reference: which estimate is for which procedures.
_PROCEDURES = {
    "application": ("application", "switch"),
    "database": ("database", "migration", "migration forward", "rows", "rows undo", "schema"),
    "configuration": ("configuration", "environment", "compose", "monitoring"),
    "recovery": ("recover",),
}


class TimingTable(Table):
    """[timing]: how long to wait, in seconds."""

    healthy: int = Field(default=60, ge=1, le=3600)
    stop: int = Field(default=30, ge=1, le=3600)


class NotifyTable(Table):
    """[notify]: who is told of a rollback.

    Attributes:
        targets_file: apprise's text format, a URL a line, 0600; without it nobody is told by itself.
        seconds: how long the end of a command waits for messages on their way.
        minor: names of [contacts] that a message of this severity gives; empty for all.
    """

    targets_file: str | None = None
    seconds: float = Field(default=10.0, ge=0, le=300)
    minor: list[str] = []
    major: list[str] = []
    critical: list[str] = []


class WatchTable(Table):
    """[watch]: when a release that was just deployed is taken back; see rollback.watch.decision.Policy."""

    seconds: float = Field(default=300, ge=5, le=86400)
    interval: float = Field(default=1, ge=0.2, le=60)
    window_seconds: float = Field(default=10, ge=1, le=3600)
    requests: int = Field(default=50, ge=1, le=100000)
    error_percent: float = Field(default=5, ge=0, lt=100)
    error_lines: int = Field(default=5, ge=0, le=1000000)
    ill_percent: float = Field(default=30, ge=0, lt=100)
    slower: float = Field(default=3, gt=1, le=100)
    slow_seconds: float = Field(default=0.25, ge=0, le=600)
    far_slower: float = Field(default=8, gt=1, le=1000)
    windows: int = Field(default=5, ge=1, le=100)
    bad_windows: int = Field(default=3, ge=1, le=100)
    group_requests: int = Field(default=20, ge=1, le=100000)
    start_seconds: float = Field(default=20, ge=0, le=3600)


class VerifyTable(Table):
    """[verify]: how `rollback verify` finds out whether users can work, and what it holds for plausible.

    Attributes:
        account: who signs in; best an account of its own, since what it leaves is taken away again.
        password_file: with its password, 0600; inside the checkout or absolute.
        users: the table of accounts.
        login: its column with what one signs in with.
        segment_seconds: how long a segmentation may take.
        page_seconds: how long the browser waits for what the user is to see.
        rows_lost_percent: of a table's rows in the last backup or one of a day before, so many may be missing.
        errors_per_minute: lines in the logs of the released services.
        error_percent: of the requests at the edge.
        browser: the Chromium to look with; None for the first one on PATH.
    """

    account: str | None = None
    password_file: str | None = None
    users: str = Field(default="public.users", pattern=QUALIFIED)
    login: str = Field(default="email", pattern=COLUMN)
    segment_seconds: float = Field(default=60, gt=0, le=3600)
    page_seconds: float = Field(default=20, gt=0, le=600)
    rows_lost_percent: float = Field(default=20, ge=0, le=100)
    errors_per_minute: float = Field(default=5, ge=0)
    error_percent: float = Field(default=5, ge=0, le=100)
    browser: str | None = None
