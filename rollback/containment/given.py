"""Where rollback.toml says that what was given out is kept: whether the database has these tables and columns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rollback.database import server
from rollback.database.names import relation
from rollback.database.schema.dump import ours

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.containment.table import ContainmentTable
    from rollback.database.server import Connection
    from rollback.deployment import Deployment

__all__ = ["CREATED", "lacking", "session_of", "there", "undeceived"]

#: Column of a table of tokens that says since when there is one.
CREATED = "created_at"

_COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
_TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND n.nspname <> ALL(%s) ORDER BY 1"""


def undeceived(session: Connection) -> None:
    """Names mean what they say: one without a schema is of `public`, whatever the database's settings are by now.

    An intruder who sets its search_path would otherwise have empty tables of his own asked, and his own operators.
    """
    session.execute("SET search_path = pg_catalog, public")


@contextmanager
def session_of(deployment: Deployment) -> Iterator[Connection]:
    """A session on the live database, as `undeceived` makes it.

    Raises:
        Failed: it does not run, or cannot be reached.
    """
    with server.session_of(deployment) as session:
        undeceived(session)
        yield session


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
        return f"there is no table {name}"
    has = {str(row[0]) for row in session.execute(_COLUMNS, (_quoted(session, name),)).fetchall()}
    missing = [one for one in columns if one not in has]
    return f"{name} has no {', '.join(missing)}, but {', '.join(sorted(has))}" if missing else ""


def _all(session: Connection) -> str:
    rows: list[Any] = session.execute(_TABLES, (ours(session),)).fetchall()
    return ", ".join(str(row[0]) for row in rows) or "no tables"


def _quoted(session: Connection, name: str) -> str:
    return relation(name).as_string(session)
