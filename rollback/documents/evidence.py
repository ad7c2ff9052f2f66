"""What there is to see before anything is changed, without secrets: logs, versions, host, database, connections.

Everything that is written here has gone through the redactor, so the record can be handed to whoever helps. What
cannot be read is part of the record as well: a database that does not answer is a finding, and no reason to stop.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from rollback import commands, look, progress
from rollback.documents.verification import identities
from rollback.outcome import Stop
from rollback.parts import files
from rollback.parts.edge import MARKER_HOST
from rollback.verification.logs import error_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rollback.deployment import Container, Deployment
    from rollback.secrets import Redactor

__all__ = ["LOG_LINES", "STATE", "Evidence", "logs", "state"]

_T = TypeVar("_T")

LOG_LINES = 100
#: What was read, in the folder of the run.
STATE = "state.json"
_ERRORS = 5
_WIDEST = 300
_GIB = 2**30
_VARIABLE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]", re.MULTILINE)
_ACTIVE = re.compile(r"Active connections: (\d+)")
#: No text of a statement: values stand in it.
_AT_WORK = """
    SELECT json_build_object('bytes', pg_database_size(current_database()),
                             'max_connections', current_setting('max_connections')::int,
                             'connections', coalesce(json_agg(one ORDER BY one.state), '[]')) FROM (
        SELECT coalesce(application_name, '') AS application, usename AS role, coalesce(state, 'none') AS state,
               count(*) AS connections, coalesce(round(max(extract(epoch FROM now() - xact_start))), 0) AS oldest_s,
               count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1, 2, 3) one"""


def state(one: Container) -> dict[str, Any]:
    """What the engine says of a container."""
    return {
        "id": one.id,
        "name": one.name,
        "service": one.service,
        "image": one.image,
        "running": one.running,
        "health": one.health,
        "restarts": one.restarts,
    }


def logs(deployment: Deployment, containers: list[Container], folder: Path, redact: Redactor) -> dict[str, list[str]]:
    """Write the last lines of every container's log, redacted before they touch the disk.

    Returns:
        By container the last lines that report an error.
    """
    if not containers:
        return {}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(containers)) as pool:
        read = pool.map(lambda one: deployment.engine.run(commands.logs(one.name, tail=LOG_LINES)), containers)
        texts = {
            one.name: redact.thorough(_merged(result.out, result.err))
            for one, result in zip(containers, read, strict=True)
        }
    for name, text in texts.items():
        files.write(folder / f"{name}.log", text, mode=0o600)
    found = {name: [line[:_WIDEST] for line in text.splitlines() if error_lines(line)] for name, text in texts.items()}
    return {name: lines[-_ERRORS:] for name, lines in found.items() if lines}


def _merged(out: str, err: str) -> str:
    """Both streams in the order of the engine's time stamps."""
    return "".join(f"{line}\n" for line in sorted([*out.splitlines(), *err.splitlines()], key=lambda one: one[:30]))


@dataclass(frozen=True)
class Evidence:
    """The record of one deployment at one moment, in a folder of its own.

    Attributes:
        seconds: so long a reading may take; what has no answer by then is a finding, as is what fails.
    """

    deployment: Deployment
    folder: Path
    redact: Redactor
    seconds: float = 60

    def take(self) -> dict[str, Any]:
        """Read everything, write it, and give back what was read."""
        containers = self.deployment.containers()
        progress.tell("reads logs")
        errors = logs(self.deployment, containers, self.folder / "logs", self.redact)
        return self.written({"containers": [state(one) for one in containers], "errors": errors, **self.readings()})

    def readings(self, **more: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Versions, database, edge and host, and whatever else is asked for; side by side, as somebody may wait."""
        progress.tell("asks for versions, the database, the edge and the host")
        asked = {"versions": self._versions, "database": self._database, "edge": self._edge, "host": self._host, **more}
        found = self._begun(asked)
        wait(found.values(), timeout=self.seconds)
        late = {"cannot be read": f"no answer within {self.seconds:g} s"}
        in_time = {name: one.result() if one.done() else late for name, one in found.items()}
        return {**in_time, "variables": self._variables()}

    def _begun(self, asked: Mapping[str, Callable[[], dict[str, Any]]]) -> dict[str, Future[dict[str, Any]]]:
        """All of them at once, in one look."""
        found = {name: Future[dict[str, Any]]() for name in asked}
        with look.shared():
            self.deployment.containers()  # which all of them ask for
            for name, read in asked.items():
                work = partial(copy_context().run, _settled, found[name], self._tried, read)
                # a daemon: a question that hangs must not hold up the end of the command
                Thread(target=work, daemon=True).start()
        return found

    def written(self, found: dict[str, Any]) -> dict[str, Any]:
        """Write what was read, without secrets, and give that back."""
        text = self.redact.thorough(json.dumps(found, indent=1, ensure_ascii=False))
        files.write(self.folder / STATE, f"{text}\n", mode=0o600)
        redacted: dict[str, Any] = json.loads(text)
        return redacted

    def _tried(self, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return read()
        except Stop as stop:
            return {"cannot be read": stop.found}
        except Exception as error:  # noqa: BLE001 -- a rollback is not held up by its record, whatever is wrong with it
            return {"cannot be read": f"{type(error).__name__}: {error}"}

    def _versions(self) -> dict[str, Any]:
        engine = self._tried(self._engine)
        answers = self._tried(lambda: dict(identities(self.deployment)))
        argv = commands.git(self.deployment.root, "describe", "--always", "--dirty", "--tags")
        git = self.deployment.engine.run(argv, question=True)
        return {"services": answers, "checkout": git.out.strip() or "not a git checkout", **engine}

    def _engine(self) -> dict[str, Any]:
        info = json.loads(self.deployment.engine.ask(commands.engine_info(), seconds=20, question=True))
        compose = self.deployment.engine.ask(commands.compose_version(), seconds=20, question=True).strip()
        return {"engine": info.get("ServerVersion"), "compose": compose, "engine_root": info.get("DockerRootDir")}

    def _database(self) -> dict[str, Any]:
        applied = self.deployment.migrations()
        found: dict[str, Any] = json.loads(self.deployment.sql(_AT_WORK))
        return {"migration": applied[-1] if applied else "", "migrations": len(applied), **found}

    def _edge(self) -> dict[str, Any]:
        answer = self.deployment.through_edge("/status", f"Host: {MARKER_HOST}")
        active = _ACTIVE.search(answer.body)
        page = self.deployment.through_edge("/")
        return {"connections": int(active[1]) if active else None, "page": page.status}

    def _host(self) -> dict[str, Any]:
        load = [round(one, 2) for one in os.getloadavg()]
        return {"load": load, "cores": os.cpu_count(), "memory": _memory(), "disks": self._disks()}

    def _disks(self) -> dict[str, Any]:
        info = self._tried(self._engine)
        backups = self.deployment.root / self.deployment.settings.backup.folder
        places = {"checkout": self.deployment.root, "backups": backups, "engine": Path(str(info.get("engine_root")))}
        return {name: _room(path) for name, path in places.items() if path.is_dir()}

    def _variables(self) -> dict[str, list[str]]:
        """The names of the variables of each env file; their values are nobody's business."""
        there = {name: self.deployment.root / name for name in self.deployment.settings.compose.env_files}
        texts = {name: path.read_text("utf-8-sig", "replace") for name, path in there.items() if path.is_file()}
        return {name: _VARIABLE.findall(text) for name, text in texts.items()}


def _settled(found: Future[_T], tried: Callable[[Callable[[], _T]], _T], read: Callable[[], _T]) -> None:
    """Whoever waits gets what was read, or what was wrong."""
    try:
        found.set_result(tried(read))
    except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
        found.set_exception(error)


def _room(path: Path) -> dict[str, Any]:
    usage = shutil.disk_usage(path)
    return {"free_gib": round(usage.free / _GIB, 1), "used_percent": round(100 * usage.used / usage.total, 1)}


def _memory() -> dict[str, float]:
    """From the kernel, in GiB; nothing where it does not say."""
    path = Path("/proc/meminfo")
    text = path.read_text(encoding="ascii") if path.exists() else ""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", text, re.MULTILINE))
    return {name: round(int(value) * 1024 / _GIB, 1) for name, value in found.items()}
