"""How a database that somebody was in is asked and changed: not by his names, and without his triggers.

And whether it has the tables and columns in which, as rollback.toml says, it is kept what was given out.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rollback.database import server
from rollback.database.attic import PREFIX
from rollback.database.names import relation
from rollback.database.schema.dump import ours

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.containment.table import ContainmentTable
    from rollback.database.server import Connection, Server
    from rollback.deployment import Deployment

__all__ = ["CREATED", "lacking", "server_of", "session_of", "there", "undeceived", "unheard"]

#: Column of a table of tokens that says since when there is one.
CREATED = "created_at"

_PATH = "pg_catalog,public"
_AGAIN = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
_HEARING = """
    SELECT how, before, after FROM (
        SELECT 1, evtenabled, format('ALTER EVENT TRIGGER %I', evtname), '' FROM pg_event_trigger
        UNION ALL SELECT 2, tgenabled, format('ALTER TABLE %s', tgrelid::regclass), format('TRIGGER %I', tgname)
            FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 2, ev_enabled, format('ALTER TABLE %s', ev_class::regclass), format('RULE %I', rulename)
            FROM pg_rewrite) AS hearing (turn, how, before, after)
    WHERE how IN ('A', 'R') ORDER BY turn, before, after"""
_COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
_KEPT = """
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE starts_with(n.nspname, %s) AND c.relname = ANY(%s))"""
_TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND n.nspname <> ALL(%s) ORDER BY 1"""


def undeceived(live: Server) -> Server:
    """Its sessions take names as they say: first the server's own, then those of `public`, whatever is set by now.

    An intruder who sets the search_path of the database or of a role would otherwise have tables of his own asked, and
    views of his own instead of the catalogues. It is a setting of the connection: his are not even begun with.
    """
    return replace(live, search_path=_PATH)


@contextmanager
def server_of(deployment: Deployment) -> Iterator[Server]:
    """The database service of the deployment, `undeceived`.

    Raises:
        Failed: it does not run.
    """
    with server.of_deployment(deployment) as live:
        yield undeceived(live)


@contextmanager
def session_of(deployment: Deployment) -> Iterator[Connection]:
    """A session on the live database, `undeceived`, in autocommit.

    Raises:
        Failed: it does not run, or cannot be reached.
    """
    with server_of(deployment) as live, live.connect(deployment.settings.database.name, autocommit=True) as session:
        yield session


@contextmanager
def unheard(session: Connection) -> Iterator[None]:
    """One transaction in which nothing fires that hangs on the database: no trigger, event trigger or rule.

    session_replication_role silences those of the usual kind. What is switched on for replicas or for always, as an
    intruder would, is switched off by name, and on again before the transaction ends: afterwards all is as it was.
    """
    with session.transaction():
        session.execute(f"SET LOCAL search_path = {_PATH}".encode())
        session.execute("SET LOCAL session_replication_role = replica")
        hearing: list[Any] = session.execute(_HEARING).fetchall()
        for _, before, after in hearing:  # event triggers first: they would hear of the others
            session.execute(f"{before} DISABLE {after}".encode())
        yield
        for how, before, after in reversed(hearing):
            session.execute(f"{before} {_AGAIN[how]} {after}".encode())


def there(session: Connection, name: str) -> bool:
    """Whether there is a table of just this name, as statements will ask for it."""
    row = session.execute("SELECT to_regclass(%s) IS NOT NULL", (_quoted(session, name),)).fetchone()
    return bool(row and row[0])


def lacking(session: Connection, table: ContainmentTable) -> list[str]:
    """What [containment.tokens] and [containment.users] name and the database does not have, with what it has."""
    users = table.users
    wanted: dict[str, dict[str, tuple[str, ...]]] = {
        "tokens": {name: (column, CREATED) for name, column in table.tokens.items()},
        "users": {users.table: (users.id, users.password, users.flag, users.created)},
    }
    found = [
        f"[containment.{key}]: {wrong}"
        for key, some in wanted.items()
        for name, columns in some.items()
        if (wrong := _wrong(session, name, columns))
    ]
    return [*found, f"there are {_all(session)}"] if found else []


def _wrong(session: Connection, name: str, columns: Collection[str]) -> str:
    if not there(session, name):
        return "" if _taken_back(session, name) else f"there is no table {name}"
    has = {str(row[0]) for row in session.execute(_COLUMNS, (_quoted(session, name),)).fetchall()}
    missing = [one for one in columns if one not in has]
    return f"{name} has no {', '.join(missing)}, but {', '.join(sorted(has))}" if missing else ""


def _taken_back(session: Connection, name: str) -> bool:
    """Whether a rollback took the table away, and keeps what was in it: that is no error, and nothing is open there."""
    row = session.execute(_KEPT, (PREFIX, [name, f"public.{name}"])).fetchone()
    return bool(row and row[0])


def _all(session: Connection) -> str:
    rows: list[Any] = session.execute(_TABLES, (ours(session),)).fetchall()
    return ", ".join(str(row[0]) for row in rows) or "no tables"


def _quoted(session: Connection, name: str) -> str:
    return relation(name).as_string(session)
