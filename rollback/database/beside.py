"""A database restored beside the live one, proven equal to its manifest, and swapped in by a rename (RUNBOOK, Restore).

The live database serves until the swap and is kept under a dated name after it: the only good copy of anything is
never dropped. Killed at any point, the live name leads to the old database or to the new one, never to none.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from rollback.database.backup.restore import proven
from rollback.engine import CommandFailed, wait_until
from rollback.outcome import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rollback.database.backup.manifest import Manifest
    from rollback.database.server import Connection, Server

__all__ = ["PRIVILEGES", "Beside", "Overtaken", "drop_kept", "kept", "kept_name", "put_setting"]

_RESTORE = ["pg_restore", "-Fd", "-j2", "--exit-on-error", "--no-tablespaces"]
_DAY = 24 * 3600
_SETTLE_SECONDS = 15
#: Characters of a run's id.
_RUN = 16
#: PostgreSQL cuts longer names, and two of them would become one.
LONGEST = 63
_LIKE = """
    SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype
    FROM pg_database WHERE datname = %s"""
_GRANTS = """
    SELECT CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = %s AND a.grantee <> d.datdba ORDER BY 1, 2"""
_SETTINGS = """
    SELECT CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END,
           split_part(one, '=', 1), substr(one, strpos(one, '=') + 1)
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) one
    WHERE d.datname = %s AND NOT (s.setrole = 0 AND split_part(one, '=', 1) = %s) ORDER BY 1, 2"""
#: Without what PostgreSQL notes of tables when it analyses them: it does so by itself and whenever it likes.
_WRITTEN = """
    SELECT tup_inserted + tup_updated + tup_deleted - (
        SELECT sum(pg_stat_get_tuples_inserted(one) + pg_stat_get_tuples_updated(one) + pg_stat_get_tuples_deleted(one))
        FROM pg_class c, unnest(ARRAY[c.oid, c.reltoastrelid]) one
        WHERE c.oid IN ('pg_statistic'::regclass, 'pg_statistic_ext_data'::regclass))
    FROM pg_stat_database WHERE datname = current_database()"""
#: Of the whole database it is ours alone: whoever wants that reads a database that nobody writes would not restore it.
_READ_ONLY = "default_transaction_read_only"


class Overtaken(Failed):
    """What was listed is not all any more."""


@dataclass(frozen=True)
class Beside:
    """One restore into one server.

    Attributes:
        server: where the live database is.
        live: its name.
        run: id of the run; names derive from it.
        history: the table of applied migrations.
    """

    server: Server
    live: str
    run: str
    history: str

    @property
    def name(self) -> str:
        """The restored database, until the swap."""
        return f"{self.live[: LONGEST - len(self.run) - 10]}_restored_{self.run}"

    @property
    def old(self) -> str:
        """The live database of before, after the swap."""
        return kept_name(self.live, self.run)

    # restore

    def restored(self) -> tuple[bool, str]:
        """Whether the restored database is there, whole and proven: its comment is written last."""
        if self.swapped():
            return True, f"{self.live} is the restored database"
        told = self._value(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", self.name
        )
        return bool(told), str(told or f"{self.name} is not there, or not whole")

    def restore(
        self, manifest: Manifest, folder: Path, then: Callable[[Connection], object] = lambda _session: None
    ) -> None:
        """Restore, analyse, and prove equal to the manifest; what a kill has left is made anew.

        Args:
            manifest: what it has to be.
            folder: of the backup's plain files.
            then: what is to be done in it once it is proven, before it counts as restored; in autocommit.

        Raises:
            CommandFailed: pg_restore failed, with its message.
            Failed: what was restored is not what the manifest says.
        """
        self.drop()
        self._create()
        argv = [*_RESTORE, "--dbname", self.name, "/exchange/dump"]
        result = self.server.run(argv, folder=folder, seconds=_DAY)
        if result.code != 0:
            raise CommandFailed(f"pg_restore ended with {result.code}: {result.err.strip()}", "look at the message")
        told = proven(self.server, self.name, manifest, whole=False)
        with self.server.connect(self.name, autocommit=True) as session:
            then(session)
        self._carry_over()
        self._admin(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                sql.Identifier(self.name), sql.Literal(f"restored from {manifest.id}: {told}")
            )
        )

    def so_far(self, usual: float | None) -> Callable[[], str]:
        """Says, whenever it is asked, how large the restored database is by now, and how long it took the last time.

        Args:
            usual: seconds that the last restore of this backup took with its comparisons; None: there was none.
        """
        began = time.monotonic()

        def look() -> str:
            size = self._value("SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datname = %s", self.name)
            of = "" if usual is None else f" of about {usual:.0f}"
            return f"{int(size or 0) / 1e6:.0f} MB restored, {time.monotonic() - began:.0f}{of} s"

        return look

    def _create(self) -> None:
        owner, encoding, collate, ctype = self._row(_LIKE, self.live)
        command = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
        named = sql.Identifier(self.name), sql.Identifier(owner)
        self._admin(command.format(*named, *map(sql.Literal, (encoding, collate, ctype))))

    def drop(self) -> None:
        """Drop what was restored and not swapped in."""
        self._admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))

    # what a rename leaves behind

    def _carry_over(self) -> None:
        """Grants on the database and its settings: a rename takes neither along, and a dump without -C has neither."""
        with self.server.connect("postgres", autocommit=True) as admin:
            name = sql.Identifier(self.name)
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            for grantee, privilege, grantable in admin.execute(_GRANTS, (self.live,)).fetchall():
                who = sql.Identifier(str(grantee)) if grantee else sql.SQL("PUBLIC")
                option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
                command = sql.SQL("GRANT {} ON DATABASE {} TO {}{}")
                admin.execute(command.format(PRIVILEGES[str(privilege)], name, who, option))
            for role, key, value in admin.execute(_SETTINGS, (self.live, _READ_ONLY)).fetchall():
                put_setting(admin, name, str(role), str(key), str(value))

    # swap

    def swapped(self) -> bool:
        """Whether the live name leads to what was restored."""
        return self._value("SELECT 1 FROM pg_database WHERE datname = %s", self.old) is not None

    def serving(self) -> bool:
        """Whether the restored database has the live name and lets applications in."""
        opened = "SELECT datallowconn FROM pg_database WHERE datname = %s"
        return self.swapped() and bool(self._value(opened, self.live))

    def swap(self, *, unwritten_since: int | None = None) -> float:
        """Put the restored database in the place of the live one; returns seconds without any.

        Sessions are ended; applications connect again by themselves.

        Args:
            unwritten_since: what `written` said when the late writes were listed.

        Raises:
            Overtaken: somebody has written since; the live database serves on.
        """
        return self._exchange(self.live, self.old, self.name, unwritten_since)

    def swap_back(self) -> None:
        """The live database of before, again under its name."""
        if self.swapped():
            self._exchange(self.live, self.name, self.old, None)
        self._allow(self.live)

    def _exchange(self, live: str, aside: str, incoming: str, unwritten_since: int | None) -> float:
        """Two renames in one transaction: there is always a database of the live name."""
        with ExitStack() as stack:
            witness = None if unwritten_since is None else stack.enter_context(self._witness())
            admin = stack.enter_context(self.server.connect("postgres", autocommit=True))
            began = time.monotonic()
            for name in (live, incoming):
                admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            if witness is not None:
                self._refuse_overtaken(admin, witness, unwritten_since)
            _empty(admin, live, incoming)
            with admin.transaction():
                for old, new in ((live, aside), (incoming, live)):
                    command = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                    admin.execute(command.format(sql.Identifier(old), sql.Identifier(new)))
            # the live one last: it is what `serving` reads, and a run that was killed in between goes on until it holds
            for name in (aside, live):
                admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
        return time.monotonic() - began

    def _witness(self) -> Connection:
        """Who is in the live database already may ask there when nobody gets in any more."""
        self.reopen()
        return self.server.connect(self.live, autocommit=True)

    def _refuse_overtaken(self, admin: Connection, witness: Connection, unwritten_since: int | None) -> None:
        _empty(admin, self.live, self.name, but=witness.info.backend_pid)
        written = _written(witness)
        witness.close()
        if written != unwritten_since:
            self.reopen()
            raise Overtaken(f"Somebody has written into {self.live} since its late writes were listed.")

    def reopen(self) -> None:
        """Before the swap both let sessions in, also where a swap was killed that had shut them."""
        for name in (self.live, self.name):
            self._allow(name)

    def open(self) -> None:
        """Let applications in; where the swap was killed between its parts they are still kept out, of both."""
        for name in (self.old, self.live):
            self._allow(name)

    def _allow(self, name: str) -> None:
        self._admin(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))

    # writes

    def written(self) -> int:
        """Rows that were ever written in the live database, as PostgreSQL counts them when sessions end."""
        with self.server.connect(self.live, autocommit=True) as session:
            return _written(session)

    def stop_writes(self) -> None:
        """Whoever connects to the live database from now on reads; sessions of before are ended."""
        self._let_write("SET default_transaction_read_only = on")

    def writable(self) -> bool:
        """Whether whoever connects to the live name may write."""
        question = """
            SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE d.datname = %s AND s.setrole = 0 AND 'default_transaction_read_only=on' = ANY (s.setconfig)"""
        return not self._value(question, self.live)

    def allow_writes(self) -> None:
        """Take `stop_writes` back."""
        self._let_write("RESET default_transaction_read_only")

    def _let_write(self, how: LiteralString) -> None:
        with self.server.connect("postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} " + how).format(sql.Identifier(self.live)))
            question = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s"
            admin.execute(question, (_SETTLE_SECONDS * 1000, self.live))

    # questions

    def _admin(self, command: sql.SQL | sql.Composed) -> None:
        with self.server.connect("postgres", autocommit=True) as admin:
            try:
                admin.execute(command)
            except psycopg.Error as error:
                raise Failed(
                    f"PostgreSQL refuses: {error.diag.message_primary}.", "look at the server's log"
                ) from error

    def _row(self, question: str, *values: object) -> Any:
        with self.server.connect("postgres", autocommit=True) as admin:
            found = admin.execute(question.encode(), values).fetchone()
        if found is None:
            raise Failed(f"There is no database {self.live}.", "see [database] name in rollback.toml")
        return found

    def _value(self, question: str, *values: object) -> Any:
        with self.server.connect("postgres", autocommit=True) as admin:
            found = admin.execute(question.encode(), values).fetchone()
        return found[0] if found else None


def kept_name(live: str, run: str) -> str:
    """Under which name the live database of before is kept by a run."""
    return f"{live[: LONGEST - len(run) - 10]}_before_{run}"


def kept(server: Server, live: str) -> list[tuple[str, int]]:
    """The databases of before that runs have kept, oldest first, with their bytes."""
    question = "SELECT datname::text, pg_database_size(oid) FROM pg_database ORDER BY 1"
    ours = re.compile(re.escape(kept_name(live, "?" * _RUN).rstrip("?")) + r"[0-9]{12}[0-9a-f]{4}")
    with server.connect("postgres", autocommit=True) as admin:
        return [(str(name), int(str(size))) for name, size in admin.execute(question) if ours.fullmatch(str(name))]


def drop_kept(server: Server, live: str, name: str) -> None:
    """Drop one of `kept`.

    Raises:
        Refused: it is none.
    """
    there = [one for one, _ in kept(server, live)]
    if name not in there:
        raise Refused(f"{name!r} is no database that a rollback has kept.", f"kept are: {', '.join(there) or 'none'}")
    with server.connect("postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


PRIVILEGES = {"CREATE": sql.SQL("CREATE"), "CONNECT": sql.SQL("CONNECT"), "TEMPORARY": sql.SQL("TEMPORARY")}


def put_setting(admin: Connection, database: sql.Identifier, role: str, key: str, value: str) -> None:
    """A setting of the database; by way of the session, so that PostgreSQL itself does the quoting."""
    admin.execute("SELECT set_config(%s, %s, false)", (key, value))
    name = sql.SQL(".").join(map(sql.Identifier, key.split(".")))
    where = sql.SQL("DATABASE {}").format(database)
    if role:
        where = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
    admin.execute(sql.SQL("ALTER {} SET {} FROM CURRENT").format(where, name))
    admin.execute(sql.SQL("RESET {}").format(name))


def _written(session: Connection) -> int:
    row = session.execute(_WRITTEN).fetchone()
    return int(str(row[0])) if row else 0


def _empty(admin: Connection, *names: str, but: int = 0) -> None:
    """End the sessions of databases that let nobody in any more, all but one."""
    question = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> %s"

    def emptied() -> tuple[bool, str]:
        row = admin.execute(question, (list(names), but)).fetchone()
        left = int(str(row[0])) if row else 0
        return left == 0, f"{left} sessions"

    wait_until(emptied, seconds=_SETTLE_SECONDS, what="the end of all sessions")
