"""What the post-mortem and the police need: taken before anything is changed, hashed, sealed, outside of the checkout.

Logs, processes, connections and changed files of every container, the files of the deployment, its journal, and a dump
of the database that was read to its end. Nothing of a container is run: what an intruder owns tells what he likes.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.containment.apart import Apart
from rollback.containment.given import session_of
from rollback.containment.standing import Standing
from rollback.database import cluster, safety
from rollback.database.backup import seal
from rollback.database.backup.signing import Keys, Untrue
from rollback.deployment import Container
from rollback.engine import inspected
from rollback.outcome import Failed, Refused, of_the_database
from rollback.parts import files
from rollback.plan import Reading
from rollback.release import groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from rollback.deployment import Deployment

__all__ = ["Evidence"]

_AT_ONCE = 6
#: Changed files of one container that are copied; the list names all.
_LARGEST = 400
_KIND = "evidence"
_CONNECTIONS = """
    SELECT json_agg(one) FROM (SELECT datname, usename, application_name, client_addr::text, client_port,
    backend_start::text, state, query FROM pg_stat_activity WHERE pid <> pg_backend_pid()) one"""
#: Whose network is gone keeps his locks, and no dump gets past a table that is held whole.
_END = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
#: What docker says where nobody can read a log, as of the driver `none`; all else may be mended by another try.
_NO_LOG = "does not support reading"
_ROLES = "SELECT json_agg(one) FROM (SELECT rolname, rolsuper, rolcanlogin, rolcreaterole FROM pg_roles) one"


@dataclass(frozen=True)
class Evidence:
    """The evidence of one run.

    Attributes:
        folder: of the run: where the connections are noted before anybody is cut off.
    """

    deployment: Deployment
    run: str
    folder: Path

    @property
    def place(self) -> Path:
        """The folder outside of the checkout.

        Raises:
            Refused: rollback.toml names none.
        """
        named = self.deployment.settings.containment.archive
        if named is None:
            raise Refused("Nobody has said where evidence is kept.", "name a folder in [containment] archive")
        return (self.deployment.root / Path(named).expanduser()).resolve()

    @property
    def _name(self) -> str:
        sealed = seal.SUFFIX if self.deployment.settings.backup.recipients else ""
        return f"evidence-{self.deployment.settings.deployment.name}-{self.run}.tar{sealed}"

    @property
    def archive(self) -> Path:
        """The archive; the signed statement lies beside it."""
        return self.place / self._name

    @property
    def _statement(self) -> Path:
        return self.place / f"{self._name}.json"

    @property
    def _keys(self) -> Keys:
        return Keys(self.deployment.root / self.deployment.settings.backup.signing_key)

    # who is connected, before anybody is cut off

    def noted(self) -> Reading:
        """Whether the connections are noted."""
        there = self._fleeting.is_file()
        return Reading(there, "noted" if there else "not noted")

    @property
    def _fleeting(self) -> Path:
        return self.folder / "connections.json"

    def note(self) -> None:
        """Who is connected to what, and which processes run: cutting off ends both."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        running = [one for one in self._containers() if one.running]
        said = {one.name: self._processes(one) for one in running}
        sockets = {one.name: self._sockets(one) for one in running}
        files.write(self._fleeting, json.dumps({"processes": said, "sockets": sockets}, indent=1) + "\n", mode=0o600)

    def _containers(self) -> list[Container]:
        """Those of the deployment, and of the monitoring stack beside it."""
        beside = Apart(self.deployment).monitoring()
        return [*self.deployment.containers(), *map(Container.of, beside)]

    def _processes(self, one: Container) -> list[str]:
        """As the engine lists them; one that ends meanwhile keeps nobody from asking the others."""
        listed = self.deployment.engine.run(commands.processes(one.id))
        return (listed.out if listed.code == 0 else f"not to be read: {listed.err.strip()}").splitlines()

    def _sockets(self, one: Container) -> str:
        """As its kernel has them, by way of a process of the container where this host can see it."""
        raw = inspected(self.deployment.engine.run(commands.inspect("container", [one.id])))
        table = Path(f"/proc/{raw[0]['State']['Pid'] if raw else 0}/net/tcp")
        try:
            return table.read_text(encoding="ascii")
        except OSError:
            read = self.deployment.engine.run(commands.execute(one.id, ["cat", "/proc/net/tcp"]))
            return read.out if read.code == 0 else f"not to be read: {read.err.strip()}"

    # the archive

    def reading(self) -> Reading:
        """Whether the archive is what was signed, and what it lacks."""
        if not self._statement.is_file():
            return Reading(holds=False, seen="no evidence is sealed")
        try:
            told = self._keys.read(_KIND, self._statement.read_bytes())
        except Untrue as why:
            return Reading(holds=False, seen=f"{self._statement.name}: {why}")
        whole = self.archive.is_file() and files.sha256(self.archive) == told["sha256"]
        size = f"{self.archive.stat().st_size / 1e6:.1f} MB" if self.archive.is_file() else "nothing"
        seen = f"{size}, {told['files']} files, sha256 {str(told['sha256'])[:16]}, {self.archive}"
        if lacking := told.get("lacking"):
            seen += f"; it lacks {'; '.join(lacking)}"
        return Reading(whole, seen if whole else f"{self.archive} is not what was signed")

    def keep(self) -> None:
        """Collect, hash, seal, sign.

        Raises:
            Failed: something could not be read; an ill database holds nothing up: what the archive lacks, and why, is
                in the signed statement.
            Refused: the place cannot be used.
        """
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".evidence-", dir=self.place) as room:
            inside = Path(room) / "evidence"
            inside.mkdir(mode=0o700)
            lacking = self._collect(inside)
            self._seal(inside, Path(room), {"files": _sum(inside), "lacking": lacking})

    def _collect(self, room: Path) -> list[str]:
        """Into this folder; what could not be had, and why."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tasks = [pool.submit(self._container, item, room) for item in self._containers()]
            lacking = [gap for one in tasks for gap in one.result()]
        named = [name for some in groups(self.deployment).values() for name in some]
        files.capture(self.deployment.root, [*named, "rollback.toml"], room / "files")
        journal = self.deployment.state / "journal.jsonl"
        for path in (journal, self._fleeting):
            if path.is_file():
                (room / path.name).write_bytes(path.read_bytes())
        # of the run that cut everybody off, where this one is of another part
        for path in self.folder.parent.glob(f"*/{self._fleeting.name}"):
            if path != self._fleeting:
                (room / f"connections-{path.parent.name}.json").write_bytes(path.read_bytes())
        return [*lacking, *self._database(room)]

    def _container(self, one: Container, room: Path) -> list[str]:
        folder, engine = room / "containers" / one.name, self.deployment.engine
        folder.mkdir(mode=0o700, parents=True)
        log = engine.save(commands.logs(one.id), folder / "log", both=True)
        state = engine.save(commands.inspect("container", [one.id]), folder / "inspect.json")
        unread = log.code and _NO_LOG in (folder / "log").read_text(encoding="utf-8", errors="replace")
        if (log.code and not unread) or state.code:
            raise Failed(f"Log or state of {one.name} cannot be read.", "`rollback resume` tries it again")
        listed = engine.ask(commands.changed_files(one.id)).splitlines()
        files.write(folder / "changed", "\n".join(listed) + "\n", mode=0o600)
        raw = json.loads((folder / "inspect.json").read_text(encoding="utf-8"))[0]
        paths = _outermost(listed, [str(mount["Destination"]) for mount in raw.get("Mounts") or ()])
        for number, path in enumerate(paths[:_LARGEST]):
            # what is gone by now is in the list; what cannot be copied is a socket or a device
            engine.save(commands.copy_one(one.id, path), folder / f"changed-{number:03}.tar")
        more = len(paths) - _LARGEST
        gaps = [f"the log of {one.name}: its driver cannot be read"] if unread else []
        return [*gaps, *([f"copies of {more} changed files of {one.name}, which are listed"] if more > 0 else [])]

    def _database(self, room: Path) -> list[str]:
        """What it says of itself, then its dump; one that fails keeps nobody from the other."""
        parts: dict[str, Callable[[Path], object]] = {
            "the database's own account": self._account,
            "the dump of the database": lambda to: safety.dump(self.deployment, to / "database.dump"),
        }
        lacking = [f"{name}: {why}" for name, part in parts.items() if (why := _why_not(part, room))]
        if lacking:
            files.write(room / "database-not-read", "\n".join(lacking) + "\n", mode=0o600)
        return lacking

    def _account(self, room: Path) -> None:
        """Who is connected, who may sign in, how it is set; while it is shut, every connection is ended after that."""
        with session_of(self.deployment) as session:
            for name, question in (("connections", _CONNECTIONS), ("roles", _ROLES)):
                row = session.execute(question.encode()).fetchone()
                files.write(room / f"database-{name}.json", json.dumps(row[0] if row else None), mode=0o600)
            if Standing.read(self.deployment) is not None:
                session.execute(_END.encode())
            around = json.dumps(cluster.raw(session), indent=1, default=str)
            files.write(room / "database-server.json", around, mode=0o600)

    def _seal(self, inside: Path, room: Path, told: dict[str, Any]) -> None:
        plain, ready = room / "plain.tar", room / self._name
        with tarfile.open(plain, "w") as tar:
            tar.add(inside, arcname=f"evidence-{self.run}")
        to = self.deployment.settings.backup.recipients
        if to:
            seal.seal_file(plain, ready, backup=self.run, name=self._name, to=seal.recipients(to))
        else:
            plain.rename(ready)
        ready.chmod(0o400)
        ready.rename(self.archive)
        said = {"run": self.run, "sha256": files.sha256(self.archive), "sealed": bool(to), **told}
        handle = os.open(self._statement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(self._keys.made().sign(_KIND, said))
            out.flush()
            os.fsync(out.fileno())


def _why_not(part: Callable[[Path], object], room: Path) -> str:
    """Why the database did not let this be read; empty: it was read."""
    try:
        part(room)
    except Failed as stop:
        return stop.found
    except Exception as error:
        if not of_the_database(error):
            raise
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def _outermost(listed: list[str], mounts: list[str]) -> list[str]:
    """Files that were changed, then of what was added the paths above all others.

    Of what an image has only so much can be changed; of what is added there may be any amount, to hide it. Where
    something is mounted, and above it, nothing is copied whole: `docker cp` takes what is mounted along, which may be
    a volume, or the host's own root.
    """
    added = sorted(line[2:] for line in listed if line.startswith("A ") and not _leads_out(line[2:], mounts))
    roots = [one for one in added if not any(one.startswith(f"{other}/") for other in added)]
    folders = {str(Path(line[2:]).parent) for line in listed}
    changed = [line[2:] for line in listed if line.startswith("C ") and line[2:] not in folders]
    return [*(one for one in changed if not _leads_out(one, mounts)), *roots]


def _leads_out(path: str, mounts: list[str]) -> bool:
    """Whether something is mounted there, or below."""
    return any(mount == path or mount.startswith(f"{path}/") for mount in mounts)


def _sum(folder: Path) -> int:
    """SHA256SUMS over all that is in it, as sha256sum checks it; how many files."""
    found = sorted(one for one in folder.rglob("*") if one.is_file())
    lines = [f"{files.sha256(one)}  {one.relative_to(folder)}" for one in found]
    files.write(folder / "SHA256SUMS", "\n".join(lines) + "\n", mode=0o600)
    return len(found)
