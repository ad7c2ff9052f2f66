"""The live system by role, as rollback.toml names it: containers, images, addresses, answers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rollback import commands, settings
from rollback.composing import Compose
from rollback.engine import Engine, inspected
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from rollback.engine import Result

__all__ = ["Answer", "Container", "Deployment"]

_END = "\x1e"  # record separator: stands in no answer that we read
_STANDS_AFTER_S = 3.0
_ONE_OFF = "com.docker.compose.oneoff"
_PROJECT = "com.docker.compose.project"
_FOLDER = f"{_PROJECT}.working_dir"
_SERVICE = "com.docker.compose.service"


@dataclass(frozen=True)
class Container:
    """A container of the deployment as the engine records it.

    Attributes:
        restarts: how often the engine itself has started it again.
        fell: it did so a moment ago: what dies at every start runs in half of all looks.
        created: the engine's time.
    """

    id: str
    name: str
    service: str
    image: str
    running: bool
    health: str | None
    one_off: bool
    labels: dict[str, str]
    ports: dict[str, str]
    restarts: int
    fell: bool = False
    created: str = ""

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Container:
        """From `docker container inspect`."""
        labels = raw["Config"].get("Labels") or {}
        bound = (raw.get("NetworkSettings") or {}).get("Ports") or {}
        return cls(
            id=raw["Id"],
            name=raw["Name"].lstrip("/"),
            service=labels.get(_SERVICE, ""),
            image=raw["Image"],
            running=raw["State"]["Running"] and not raw["State"].get("Restarting", False),
            health=(raw["State"].get("Health") or {}).get("Status"),
            one_off=labels.get(_ONE_OFF) == "True",
            labels=labels,
            ports={port: _address(where[0]) for port, where in bound.items() if where},
            restarts=raw.get("RestartCount", 0),
            fell=raw.get("RestartCount", 0) > 0 and _age(raw["State"].get("StartedAt", "")) < _STANDS_AFTER_S,
            created=raw.get("Created", ""),
        )

    @property
    def config_hash(self) -> str | None:
        """Compose's hash of the configuration that it was made from."""
        return self.labels.get("com.docker.compose.config-hash")

    def differences(self, image: str | None, config_hash: str | None) -> list[str]:
        """What a plain `up` would change on it."""
        found = [] if self.running else [f"{self.name} is not running"]
        found += [] if self.image == image else [f"{self.name} runs another image"]
        return found + ([] if self.config_hash == config_hash else [f"{self.name} has another configuration"])

    @property
    def well(self) -> bool:
        """Running, and healthy where it has a health check; where it has none, not started again a moment ago."""
        return self.running and (self.health == "healthy" or (self.health is None and not self.fell))


def _age(started: str) -> float:
    """Seconds since an instant that the engine tells; long ago where it tells none."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return math.inf


def _address(bound: dict[str, str]) -> str:
    host = bound["HostIp"]
    return f"{'127.0.0.1' if host in ('', '0.0.0.0', '::') else host}:{bound['HostPort']}"  # noqa: S104 -- compared, not bound


def _full(image: str) -> str:
    """The name as the engine lists it: with a tag."""
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


@dataclass(frozen=True)
class Answer:
    """What a service said over HTTP; status 0 when it did not answer."""

    status: int
    body: str

    @classmethod
    def of(cls, text: str) -> Answer:
        """From what curl wrote: the body, a line break and the status."""
        body, _, status = text.rpartition("\n")
        return cls(int(status) if status.isdigit() else 0, body.strip())

    @property
    def version(self) -> str | None:
        """The `version` of a JSON answer with status 200."""
        if self.status != 200:  # noqa: PLR2004 -- HTTP
            return None
        try:
            found = json.loads(self.body)["version"]
        except (ValueError, KeyError, TypeError):
            return None
        return str(found)

    @property
    def stated(self) -> list[str]:
        """The migration heads that a service states beside its version; empty where it states none."""
        try:
            return [str(one) for one in json.loads(self.body)["schema_heads"]] if self.version else []
        except (ValueError, KeyError, TypeError):
            return []


@dataclass(frozen=True)
class Deployment:
    """One Compose deployment in one checkout.

    Everything it touches is found by the deployment's own project label, so other projects on the same engine
    are out of reach.

    Attributes:
        known: the project's name where it is known from elsewhere: the Compose files themselves may be gone.
    """

    root: Path
    settings: settings.Settings
    engine: Engine
    known: str = ""
    _edge: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, directory: Path) -> Deployment:
        """The deployment whose rollback.toml lies in the given folder."""
        root = directory.resolve()
        return cls(root, settings.load(root), Engine(root))

    @property
    def state(self) -> Path:
        """The folder of releases, journal and runs; made by whoever writes first: who only looks leaves none."""
        return self.root / self.settings.deployment.state

    @property
    def folder(self) -> Path:
        """What Compose takes for the project's directory."""
        return self.root

    def run_folder(self, run: object) -> Path:
        """Where a run keeps what it knows and what it has set aside."""
        return self.state / "runs" / str(run)

    @property
    def compose(self) -> Compose:
        """Compose as a plain `docker compose` in the checkout sees it."""
        table = self.settings.compose
        files = tuple(self.root / name for name in table.files)
        return Compose(self.root, files, tuple(table.profiles))

    @cached_property
    def project(self) -> str:
        """The Compose project name that the labels carry; from those alone where Compose cannot read the files."""
        if self.known:
            return self.known
        try:
            return str(self.config(self.compose)["name"])
        except Refused:
            found = self._labelled_project()
            if found is None:
                raise
            return found

    def _labelled_project(self) -> str | None:
        """The project whose containers were made from this checkout, if it is one."""
        ids = self.engine.ask(commands.containers(f"label={_FOLDER}={self.folder}")).split()
        raw = self.engine.run(commands.inspect("container", ids)).out if ids else "[]"
        names = {str(one["Config"]["Labels"].get(_PROJECT)) for one in json.loads(raw or "[]")}
        return names.pop() if len(names) == 1 else None

    def config(self, compose: Compose) -> dict[str, Any]:
        """What Compose makes of the files.

        Raises:
            Refused: when Compose cannot read them: its own message says which file and why.
        """
        return self._model(compose.config())

    def config_unresolved(self, compose: Compose) -> dict[str, Any]:
        """The same with the `env_file` entries of each service still there."""
        return self._model(compose.config_unresolved())

    def config_as_written(self, compose: Compose) -> dict[str, Any]:
        """The same with every variable left as it is written, too."""
        return self._model(compose.config_as_written())

    def _model(self, argv: commands.Argv) -> dict[str, Any]:
        result = self.engine.run(argv)
        if result.code != 0:
            raise Refused(f"Compose cannot read the configuration: {result.err.strip()}", "mend the Compose files")
        model: dict[str, Any] = json.loads(result.out)
        return model

    def hashes(self, compose: Compose) -> dict[str, str]:
        """Compose's configuration hash of each service."""
        lines = self.engine.ask(compose.config_hashes()).splitlines()
        return dict(line.split() for line in lines if line.strip())

    def running_state(self, service: str) -> dict[str, Any]:
        """What runs as a service now: enough to put it back, and to tell what replacing it closes."""
        containers = self.serving(service)
        return {
            "service": service,
            "containers": [one.id for one in containers],
            "well": bool(containers) and all(one.well for one in containers),
            "images": sorted({one.image for one in containers}),
            "published": sorted({where for one in containers for where in one.ports.values()}),
        }

    def image_name(self, config: dict[str, Any], service: str) -> str:
        """The image name that Compose starts a service from."""
        return str(config["services"][service].get("image") or f"{config['name']}-{service}")

    def containers(self) -> list[Container]:
        """All containers of the project, stopped ones and one-offs too."""
        ids = self.engine.ask(commands.containers(f"label={_PROJECT}={self.project}")).split()
        if not ids:
            return []
        return [Container.of(one) for one in inspected(self.engine.run(commands.inspect("container", ids)))]

    def serving(self, service: str) -> list[Container]:
        """The containers that Compose counts as the service."""
        return [one for one in self.containers() if one.service == service and not one.one_off]

    def image_id(self, name: str) -> str | None:
        """The ID of an image, or None where the engine does not have it."""
        return self.image_ids([name])[name]

    def image_ids(self, names: Collection[str]) -> dict[str, str | None]:
        """The IDs of several images, by name or ID, in one question; None where the engine does not have one."""
        if not names:
            return {}
        found = inspected(self.engine.run(commands.inspect("image", sorted(names))))
        known = {
            alias: str(one["Id"])
            for one in found
            for alias in (one["Id"], *(one.get("RepoTags") or []), *(one.get("RepoDigests") or []))
        }
        return {name: known.get(_full(name)) for name in names}

    def edge_running(self) -> str | None:
        """ID of the running container of the edge; None when it does not run."""
        found = [one.id for one in self.serving(self.settings.edge.service) if one.running]
        self._edge["id"] = found[0] if found else ""
        return found[0] if found else None

    def in_edge(self, command: Sequence[str], *, seconds: float = 60, question: bool = False) -> Result:
        """Run a command in the edge's container; which one that is, is looked up again only when it has gone.

        `question`: see Engine.run.

        Raises:
            Refused: when the edge does not run.
        """
        if self._edge.get("id"):
            result = self._executed(self._edge["id"], command, seconds, question=question)
            if not _gone(result):
                return result
        container = self.edge_running()
        if container is None:
            name = self.settings.edge.service
            raise Refused(f"The edge service `{name}` is not running.", f"`docker compose up -d {name}`")
        return self._executed(container, command, seconds, question=question)

    def _executed(self, container: str, command: Sequence[str], seconds: float, *, question: bool) -> Result:
        return self.engine.run(commands.execute(container, command), seconds=seconds, question=question)

    def fetch_all(self, urls: list[str], *headers: str) -> list[Answer]:
        """Ask over HTTP from inside the edge, from where users' requests will come; one answer a URL."""
        argv = ["curl", "-sS", "--max-time", "5", "-w", f"\n%{{http_code}}{_END}"]
        for header in headers:
            argv += ["-H", header]
        result = self.in_edge([*argv, *urls], question=True)
        found = [Answer.of(text) for text in result.out.split(_END)[:-1]]
        if len(found) != len(urls):
            raise Failed(f"The edge cannot ask {urls[0]}: {result.err.strip()}.", "is curl in the edge's image?")
        return found

    def fetch(self, url: str, *headers: str) -> Answer:
        """One question from inside the edge."""
        return self.fetch_all([url], *headers)[0]

    def through_edge(self, path: str, *headers: str) -> Answer:
        """Ask as a user does: the edge's own listener decides who answers."""
        return self.fetch(self.edge_url(path), *headers)

    def edge_url(self, path: str) -> str:
        """A path at the edge's own listener, as seen from inside the edge."""
        return f"http://127.0.0.1:{self.settings.edge.http_port}{path}"

    def sql(self, query: str) -> str:
        """One value or table from the database, unaligned; the query is our own, a question, never outside input.

        Raises:
            Failed: when the database does not run or refuses the query.
        """
        table = self.settings.database
        running = [one for one in self.serving(table.service) if one.running]
        if not running:
            raise Failed(f"The database service `{table.service}` is not running.")
        psql = ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-U", table.user, "-d", table.name]
        argv = commands.execute(running[0].id, psql, stdin=True)
        return self.engine.ask(argv, stdin=query, question=True).strip()

    def migrations(self) -> list[str]:
        """The applied migrations, oldest first."""
        return self.sql(f"SELECT version FROM {self.settings.database.history} ORDER BY version").split()  # noqa: S608 -- name validated by a pattern


def _gone(result: Result) -> bool:
    """Whether the engine says that the container is not there or does not run."""
    said = result.err.lower()
    return result.code != 0 and ("no such container" in said or "is not running" in said)
