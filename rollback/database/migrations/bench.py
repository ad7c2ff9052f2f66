"""The databases of a check: one as it is before a migration, and a copy of it on which the migration is tried."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback.database import contents, fingerprint
from rollback.database.fingerprint import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from rollback.database.contents import Table
    from rollback.database.server import Connection, Server

__all__ = ["RESERVED", "Bench", "State"]

_BEFORE = "rollback_before"
#: Names that the database of a check cannot have.
RESERVED = frozenset({_BEFORE, "postgres", "template0", "template1"})
#: What belongs to the whole server; a rollback has to take it back as well.
_SHARED = """
    SELECT 'role ' || quote_ident(r.rolname), concat_ws(' ', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb,
           r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, 'member of ' ||
           (SELECT string_agg(m.roleid::regrole::text, ',' ORDER BY m.roleid::regrole::text)
            FROM pg_auth_members m WHERE m.member = r.oid)) FROM pg_roles r
    UNION ALL SELECT 'database ' || quote_ident(d.datname), '' FROM pg_database d WHERE d.datname <> ALL(%s)
    UNION ALL SELECT concat_ws(' ', 'setting of', CASE s.setdatabase WHEN 0 THEN 'role' ELSE 'this database' END,
           NULLIF(s.setrole, 0)::regrole, split_part(one, '=', 1)), one
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) one
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND one !~ '^statement_timeout='"""
_ORDER = """
    SELECT n.nspname || '.' || c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1"""


@dataclass(frozen=True)
class State:
    """What a database is: its schema with the server's roles, what its tables hold, the order of their columns."""

    schema: Schema
    tables: dict[str, Table]
    order: dict[str, list[str]]

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table."""
        return {name: one.columns for name, one in self.tables.items()}


@dataclass
class Bench:
    """Two databases of a scratch server.

    Attributes:
        server: the scratch server.
        database: the name of the one on which migrations run; some name it (GRANT ... ON DATABASE).
        history: the table in which migrations are recorded; it is left out of all comparisons.
    """

    server: Server
    database: str
    history: str
    admin: Connection
    _trial: Connection | None = field(default=None, init=False)

    @classmethod
    @contextmanager
    def opened(cls, server: Server, database: str, history: str, seconds: int) -> Iterator[Bench]:
        """Two databases; `seconds` is the longest that one statement may take."""
        with server.connect("postgres", autocommit=True) as admin:
            bench = cls(server, database, history, admin)
            limit = sql.SQL("ALTER ROLE {} SET statement_timeout = {}")
            admin.execute(limit.format(sql.Identifier(server.user), sql.Literal(f"{seconds}s")))
            bench._create(_BEFORE)
            try:
                yield bench
            finally:
                bench._end()

    @contextmanager
    def before(self) -> Iterator[Connection]:
        """A session on the database as it is before."""
        with self._connect(_BEFORE) as connection:
            yield connection

    def session(self) -> Connection:
        """The session on the trial, as new: no setting, role or temporary table of the last script is left."""
        if self._trial is None or self._trial.closed:
            self._trial = self._connect(self.database)
        else:
            self._trial.execute("DISCARD ALL")
        return self._trial

    def state(self, connection: Connection | None = None) -> State:
        """What the trial, or the given database, is now."""
        own = connection or self.session()
        own.execute("SET statement_timeout = 0")  # the limit is for scripts
        schema = fingerprint.logical(own, without=[self.history]).objects
        rows: list[Any] = own.execute(_SHARED, ([_BEFORE, self.database],)).fetchall()
        order: list[Any] = own.execute(_ORDER).fetchall()
        tables = contents.contents(own, without=[self.history])
        return State(Schema(schema | {name: text or "" for name, text in rows}), tables, dict(order))

    def tables(self, only: Mapping[str, Collection[str]], *, before: bool) -> dict[str, Table]:
        """What the given columns hold, in the trial or in the database before it."""
        if not before:
            session = self.session()
            session.execute("SET statement_timeout = 0")
            return contents.contents(session, only, without=[self.history])
        with self.before() as connection:
            return contents.contents(connection, only, without=[self.history])

    def start(self) -> None:
        """Make the trial anew from the database before it."""
        self._close()
        self._drop(self.database)
        self._create(self.database, _BEFORE)

    def accept(self) -> None:
        """The trial becomes the database before the next migration."""
        self._close()
        self._drop(_BEFORE)
        self._alone(self.database)
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        self.admin.execute(rename.format(sql.Identifier(self.database), sql.Identifier(_BEFORE)))

    def forget(self, known: Schema) -> None:
        """Make the trial anew, and remove roles and databases that were not known before it."""
        self._close()
        self._drop(self.database)
        rows: list[Any] = self.admin.execute(
            "SELECT 'database', datname::text FROM pg_database UNION ALL SELECT 'role', rolname::text FROM pg_roles"
        ).fetchall()
        for kind, name in rows:
            quoted: Any = self.admin.execute("SELECT quote_ident(%s)", (name,)).fetchone()
            if name != _BEFORE and f"{kind} {quoted[0]}" not in known.objects:
                # a role that an earlier state still needs stays
                with suppress(psycopg.Error):
                    self.admin.execute(sql.SQL(f"DROP {kind.upper()} {{}}").format(sql.Identifier(name)))
        self._create(self.database, _BEFORE)

    def _end(self) -> None:
        self._close()
        for name in (self.database, _BEFORE):
            self._drop(name)
        # else whoever comes next to this server has it from the beginning, to make and drop databases within
        self.admin.execute(sql.SQL("ALTER ROLE {} RESET statement_timeout").format(sql.Identifier(self.server.user)))

    def _connect(self, database: str) -> Connection:
        connection = self.server.connect(database, autocommit=True)
        # scripts and DISCARD ALL take prepared statements away
        connection.prepare_threshold = None
        return connection

    def _create(self, name: str, template: str = "template1") -> None:
        self._alone(template)
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self.admin.execute(make.format(sql.Identifier(name), sql.Identifier(template)))

    def _alone(self, name: str) -> None:
        """End sessions that linger: a copy and a new name want none."""
        self.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    def _drop(self, name: str) -> None:
        self.admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _close(self) -> None:
        if self._trial is not None:
            self._trial.close()
            self._trial = None
