"""What a database is, read for a manifest and read again from what was restored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.database import cluster, contents, fingerprint
from rollback.database.backup.manifest import State, TableState
from rollback.database.server import WORK, run_alone
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.database.server import Connection, Server

__all__ = ["acl", "archived_sequences", "differences", "migrations", "read", "roles", "settings"]

_ACL = """
    SELECT 'owner ' || pg_get_userbyid(d.datdba) FROM pg_database d WHERE d.datname = current_database()
    UNION ALL SELECT 'grant ' || one::text FROM pg_database d,
    unnest(coalesce(d.datacl, acldefault('d', d.datdba))) one WHERE d.datname = current_database() ORDER BY 1"""
_SETTINGS = """
    SELECT concat_ws(' ', coalesce('role ' || s.setrole::regrole, 'database'), one)
    FROM (SELECT NULLIF(setrole, 0) AS setrole, setdatabase, setconfig FROM pg_db_role_setting) s,
    unnest(s.setconfig) one
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT concat_ws(' ', 'encoding', pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit)
    FROM pg_database WHERE datname = current_database() ORDER BY 1"""
_ROLES = """
    SELECT r.rolname, concat_ws(' ', CASE WHEN r.rolsuper THEN 'superuser' END,
           CASE WHEN NOT r.rolinherit THEN 'noinherit' END, CASE WHEN r.rolcreaterole THEN 'createrole' END,
           CASE WHEN r.rolcreatedb THEN 'createdb' END, CASE WHEN r.rolcanlogin THEN 'login' END,
           CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
           'limit', r.rolconnlimit, 'until ' || r.rolvaliduntil,
           'in ' || (SELECT string_agg(m.roleid::regrole || CASE WHEN m.admin_option THEN ' (admin)' ELSE '' END, ','
                     ORDER BY m.roleid::regrole::text) FROM pg_auth_members m WHERE m.member = r.oid),
           'set ' || (SELECT string_agg(one, ',' ORDER BY one) FROM pg_db_role_setting s, unnest(s.setconfig) one
                      WHERE s.setrole = r.oid AND s.setdatabase = 0))
    FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1"""
_DERIVED = "SELECT format('%s.%s', schemaname, matviewname) FROM pg_matviews"
_LARGE_OBJECTS = ("pg_catalog", "pg_largeobject", ("data", "loid", "pageno"))
#: The archive's own words for where sequences stand, and nothing else of it.
_SEQUENCE_WORDS = (
    'set -o pipefail; pg_restore -l /exchange/dump | awk \'$4 == "SEQUENCE" && $5 == "SET"\' > /tmp/list'
    " && exec pg_restore -f - -L /tmp/list /exchange/dump"
)
_SETVAL = re.compile(r"^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?[0-9]+), (true|false)\);$", re.MULTILINE)


def read(server: Server, connection: Connection, database: str, history: str, *, snapshot: str | None = None) -> State:
    """The state as the open transaction sees it.

    Args:
        server: where it is.
        connection: a transaction in which nothing else happens.
        database: its name.
        history: the table of applied migrations; it need not be there.
        snapshot: the exported one of that transaction.
    """
    return State(
        logical=fingerprint.logical(connection).digest,
        strict=fingerprint.strict(server, database, snapshot=snapshot),
        tables=_tables(connection),
        sequences=contents.sequences(connection),
        acl=acl(connection),
        settings=settings(connection),
        roles=roles(connection),
        server=cluster.read(server, connection, database),
        migrations=migrations(connection, history),
    )


def roles(connection: Connection) -> dict[str, str]:
    """The server's roles: name -> attributes and memberships; never a password."""
    return {str(name): str(text) for name, text in _rows(connection, _ROLES)}


def acl(connection: Connection) -> list[str]:
    """The owner of the database of a session, and the grants on it."""
    return _texts(connection, _ACL)


def settings(connection: Connection) -> list[str]:
    """The settings of the database of a session, also those that a role has in it alone; its encoding."""
    return _texts(connection, _SETTINGS)


def _tables(connection: Connection) -> dict[str, TableState]:
    """Materialized views are left out: a restore computes them anew. Large objects count as a table."""
    found = contents.contents(connection, without=_texts(connection, _DERIVED))
    found[".".join(_LARGE_OBJECTS[:2])] = contents.table(connection, *_LARGE_OBJECTS)
    return {name: TableState.model_validate(one.as_json()) for name, one in found.items()}


def migrations(connection: Connection, history: str) -> list[str]:
    """The applied migrations, oldest first; none where there is no such table."""
    there = _rows(connection, "SELECT to_regclass(%s) IS NOT NULL", history)
    if not there[0][0]:
        return []
    name = sql.Identifier(*history.split("."))
    return [str(one[0]) for one in connection.execute(sql.SQL("SELECT version FROM {} ORDER BY version").format(name))]


def archived_sequences(server: Server, folder: Path) -> dict[str, int | None]:
    """Where the archive in folder/dump sets the sequences: they know no snapshots, so its word is the one that counts.

    Raises:
        Failed: pg_restore cannot read it.
    """
    result = run_alone(server.engine, server.image, ["bash", "-c", _SEQUENCE_WORDS], folder=folder)
    if result.code != 0:
        raise Failed(f"The archive in {WORK}/dump cannot be listed: {result.err.strip()}.", "take it again")
    found = _SETVAL.findall(result.out)
    return {name.replace("''", "'"): int(value) if called == "true" else None for name, value, called in found}


def differences(before: State, after: State, *, without_role: str) -> list[str]:
    """Everything in which a restored database is not what the manifest says, a sentence each.

    Args:
        before: of the manifest.
        after: of the restored database.
        without_role: the superuser of the scratch server, which has its own attributes.
    """
    found = _of_names("table", before.tables, after.tables)
    found += _of_names("sequence", before.sequences, after.sequences)
    roles = {name: text for name, text in before.roles.items() if name != without_role}
    found += _of_names("role", roles, {name: after.roles[name] for name in roles if name in after.roles})
    for what in ("logical", "strict"):
        if getattr(before, what) != getattr(after, what):
            found.append(f"the {what} schema fingerprint differs")
    for what in ("acl", "settings", "migrations"):
        old, new = getattr(before, what), getattr(after, what)
        found += [f"{what}: {one!r} is missing" for one in old if one not in new]
        found += [f"{what}: {one!r} is new" for one in new if one not in old]
    return found


def _of_names(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    names = sorted(before.keys() | after.keys())
    return [
        f"{kind} {name}: {_told(before.get(name))} in the manifest, {_told(after.get(name))} restored"
        for name in names
        if (name in before, before.get(name)) != (name in after, after.get(name))
    ]


def _told(one: object) -> str:
    return f"{one.count} rows, hash {one.hash}, up to {one.largest}" if isinstance(one, TableState) else repr(one)


def _rows(connection: Connection, question: str, *values: object) -> list[Any]:
    return list(connection.execute(question.encode(), values or None))


def _texts(connection: Connection, question: str) -> list[str]:
    return [str(one[0]) for one in _rows(connection, question)]
