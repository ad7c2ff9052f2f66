"""Every secret another one: in the env files, in the recorded ones, at the database and at Redis.

The recorded env files follow: a release that kept the old ones would open the hole again with the next rollback, and
one that did not know the database's password would not start. What was revoked is known by its hash for good.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback import commands
from rollback.containment import ways
from rollback.containment.given import server_of
from rollback.containment.inline import unhandled
from rollback.containment.keyring import KEEP, Keyring, Revoked, is_secret, pairs, rewritten, text_of, unnamed
from rollback.database import disposable, server
from rollback.outcome import Failed, Refused
from rollback.parts import files
from rollback.parts.snapshot import Snapshots
from rollback.plan import Reading
from rollback.release import Shelf, env_files, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.database.server import Connection, Server
    from rollback.deployment import Container, Deployment
    from rollback.parts.files import FileRecord

__all__ = ["Rotation"]

_OTHERS, _DATABASE = 0o077, "database"


@dataclass(frozen=True)
class Rotation:
    """The new secrets of one run.

    Attributes:
        folder: of the run.
    """

    deployment: Deployment
    folder: Path

    @property
    def table(self) -> dict[str, str]:
        """What becomes of which key."""
        return dict(self.deployment.settings.containment.secrets)

    @property
    def begun(self) -> bool:
        """Whether this run has new secrets, however far they have got."""
        return Keyring.read(self.folder) is not None

    @property
    def revoked(self) -> Revoked:
        """What may never serve again."""
        return Revoked.of(self.deployment)

    def possible(self, *models: dict[str, Any]) -> list[str]:
        """The keys that will have new values.

        Args:
            models: the Compose files as they are written, of the application and of its monitoring stack.

        Raises:
            Refused: something looks like a secret and nobody has said what becomes of it, no key has a value, or a
                line that is to be rewritten cannot be, live or recorded.
        """
        left = unnamed(self._env_files(), self.table)
        if left:
            raise Refused(
                f"{', '.join(left)} in the env files: nobody has said whether that is a secret.",
                "name each in [containment.secrets]: random, database, redis or keep",
            )
        if strange := unhandled(models, self._env_files(), self.table):
            raise Refused(
                f"{', '.join(strange)}: no env file of rollback.toml has that secret, so it stays what it is.",
                "move its value into an env file and name its key in [containment.secrets]; or change it by hand, and"
                " say `keep` there",
            )
        self._rehearse()
        found = sorted(self._secrets())
        if not found:
            raise Refused("No env file holds a key of [containment.secrets].", "name the deployment's secrets there")
        return found

    def _env_files(self) -> list[Path]:
        return [self.deployment.root / one for one in env_files(self.deployment)]

    def _secrets(self) -> dict[str, str]:
        """By key, those of the checkout that are to be changed."""
        texts = [text_of(one) for one in self._env_files() if one.is_file()]
        return {key: value for text in texts for key, value in pairs(text) if self._is_secret(key, value)}

    def _is_secret(self, key: str, value: str) -> bool:
        return is_secret(self.table.get(key, KEEP), value)

    def _rehearse(self) -> None:
        """Rewrite every copy to nowhere: the database's password is changed before the first of them.

        Raises:
            Refused: which of them cannot be rewritten.
        """
        values = Keyring.fresh(self.table)
        for path, told, _ in self._everywhere():
            try:
                rewritten(text_of(path) if path.is_file() else "", self.table, values)
            except Refused as error:
                raise Refused(f"{told}: {error.found}", error.next_step) from error

    # carried out

    def rotate(self) -> None:
        """First what was is remembered, also what was recorded; the database changes its password; every file follows.

        Raises:
            Failed: the database refuses.
        """
        fresh = Keyring.read(self.folder)
        if fresh is None:
            self.revoked.add(self._of_before())
            fresh = Keyring.made(self.folder, self.table)
        self._database(fresh)
        for path in self._secret_files():
            self._rewrite(path, fresh)
        self._shelf(fresh)

    def _of_before(self) -> Iterator[str]:
        """Every value that lies here, in the checkout or recorded: who was here may have any of them."""
        for path, _, _ in self._everywhere():
            for key, value in pairs(text_of(path)) if path.is_file() else ():
                if self._is_secret(key, value):
                    yield value

    def _everywhere(self) -> Iterator[tuple[Path, str, FileRecord | None]]:
        """Every env file with its name for the operator: of the checkout, and as it was recorded with its record."""
        yield from ((path, path.name, None) for path in self._env_files())
        kept = [(one.version, one.files, one.store) for one in Shelf(self.deployment).all()]
        kept += [(one.name, one.files, one.store) for one in Snapshots(self.deployment).all()]
        names = env_files(self.deployment)
        for name, groups, store in kept:
            for one in (one for some in groups.values() for one in some):
                if one.link is None and one.path in names:
                    yield store / one.path, f"{name} {one.path}", one

    def _secret_files(self) -> list[Path]:
        return [one for one in self._env_files() if one.is_file() and self._holds_secrets(one)]

    def _holds_secrets(self, path: Path) -> bool:
        keys = {key for key, _ in pairs(text_of(path))}
        return any(key in keys for key, kind in self.table.items() if kind != KEEP)

    def _rewrite(self, path: Path, fresh: Keyring) -> None:
        text = text_of(path)
        wanted = rewritten(text, self.table, fresh)
        if wanted != text or path.stat().st_mode & _OTHERS:
            files.write(path, wanted, mode=0o600)

    def _passwords(self, fresh: Keyring) -> dict[str, str]:
        """The new passwords of roles of the database."""
        own = self.deployment.settings.database.user
        kinds = {one: one.partition(":")[2] or own for one in fresh.values if one.partition(":")[0] == _DATABASE}
        return {role: fresh.values[kind] for kind, role in kinds.items()}

    def left(self) -> list[str]:
        """The deployment's roles whose passwords nobody has named: they stay what they are."""
        kinds = [one.partition(":") for one in self.table.values()]
        named = {role or self.deployment.settings.database.user for kind, _, role in kinds if kind == _DATABASE}
        return sorted(set(self.deployment.settings.containment.roles) - named)

    def _database(self, fresh: Keyring) -> None:
        passwords = self._passwords(fresh)
        if not passwords:
            return
        own = passwords.get(self.deployment.settings.database.user, "")
        with server_of(self.deployment) as live, _session(live, own) as session:
            for role, password in passwords.items():
                # only the verifier travels: a server that logs statements logs no password
                verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
                command = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
                try:
                    session.execute(command)
                except psycopg.Error as error:
                    why = error.diag.message_primary
                    raise Failed(f"PostgreSQL refuses a new password for {role}: {why}.") from error

    def _shelf(self, fresh: Keyring) -> None:
        """The env files of every release and snapshot, with their hashes."""
        for release in Shelf(self.deployment).all():
            if self._followed(release.files, release.store, fresh):
                write_manifest(release)
        snapshots = Snapshots(self.deployment)
        for snapshot in snapshots.all():
            if self._followed(snapshot.files, snapshot.store, fresh):
                snapshots.write(snapshot)

    def _followed(self, groups: dict[str, list[FileRecord]], store: Path, fresh: Keyring) -> bool:
        """Rewrite the env files in a store; whether their records are others now."""
        before = {group: list(some) for group, some in groups.items()}
        for group, some in before.items():
            groups[group] = [self._recorded(one, store, fresh) for one in some]
        return groups != before

    def _recorded(self, one: FileRecord, store: Path, fresh: Keyring) -> FileRecord:
        """A file with secrets is 0600 from now on, also where it is put back."""
        if (
            one.path not in env_files(self.deployment)
            or one.link is not None
            or not self._holds_secrets(store / one.path)
        ):
            return one
        self._rewrite(store / one.path, fresh)
        return files.rehashed(one, store, mode=0o600)

    # seen

    def reading(self) -> Reading:
        """Whether no env file, live or recorded, holds a revoked value, and the database takes only the new one."""
        fresh = Keyring.read(self.folder)
        if fresh is None:
            return Reading(holds=False, seen="the secrets are those of before")
        stale = self._stale()
        if stale:
            return Reading(holds=False, seen=f"not rewritten to the end: {', '.join(stale)}")
        open_ = sorted(str(one.name) for one in self._secret_files() if one.stat().st_mode & _OTHERS)
        if open_:
            return Reading(holds=False, seen=f"readable by others: {', '.join(open_)}")
        wrong = [told for one, password in self._passwords(fresh).items() if (told := self._taken(one, password))]
        return Reading(not wrong, "; ".join(wrong) or _told(fresh))

    def _taken(self, role: str, password: str) -> str:
        """What is wrong with the passwords that the database takes of a role; empty: this one, and no other.

        Another one is tried first: when this one then signs in, it was the password for which that was refused.
        """
        any_other = not self.sign_in(role, secrets.token_urlsafe())
        if why := self.sign_in(role, password):
            return f"the database refuses the new password of {role}: {why}"
        return f"the database takes every password of {role}: mend its pg_hba.conf, and reload it" if any_other else ""

    def _stale(self) -> list[str]:
        """Where a revoked value stands; and copies whose record does not know yet that they were rewritten."""
        return [
            told
            for path, told, record in self._everywhere()
            if self.revoked.keys_in(path)
            or (record is not None and path.is_file() and files.sha256(path) != record.sha256)
        ]

    def sign_in(self, role: str, password: str) -> str:
        """Why the database does not let a role in with this password, asked over the network; empty if it does.

        Raises:
            Failed: it does not run, or could not be asked.
        """
        table = self.deployment.settings.database
        running = [one for one in self.deployment.serving(table.service) if one.running]
        asking = [one for one in self.deployment.containers() if one.running and one.service not in ("", table.service)]
        if not running or not asking:
            raise Failed("The database cannot be asked: it, or everybody who could ask, does not run.", "start it")
        words = ["psql", "-X", "-w", "-Atc", "SELECT 1", "-h", table.service, "-U", role, "-d", table.name]
        argv = commands.attempt(
            words, image=running[0].image, name=disposable.name("sign-in"), label=disposable.label(),
            container=min(asking, key=_unsteady).id, env=["PGPASSWORD"],
        )  # fmt: skip
        result = self.deployment.engine.run(argv, env={"PGPASSWORD": password}, seconds=ways.ASK_SECONDS)
        server.ended(result, "psql")
        return "" if result.code == 0 else (result.err.strip().splitlines() or ["no message"])[-1]


def _session(live: Server, fresh: str) -> Connection:
    """Signed in with the password of the env file; or with the fresh one: a run that was killed has set it already.

    Raises:
        Failed: the database takes neither.
    """
    try:
        return live.connect("postgres", autocommit=True)
    except Failed:
        return replace(live, password=fresh).connect("postgres", autocommit=True)


def _unsteady(one: Container) -> tuple[bool, int]:
    """The less, the better somebody can be asked beside it: it does not end meanwhile."""
    return not one.well, one.restarts


def _told(fresh: Keyring) -> str:
    return f"{len(fresh.values)} new secrets, files 0600; the old ones are known by their hashes and refused"
