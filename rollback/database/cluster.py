"""What a server is beside a database and its roles: settings, who may come in, other databases, what runs by the clock.

They lie in the data directory, which outlives every restore of a database: whoever was a superuser for a minute may
have left a setting that runs a program, or a rule that lets anybody in.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollback.database.server import Connection, Server

__all__ = ["DATABASE", "HASHED", "JOB", "SETTING", "raw", "read", "remove_job"]

#: How the name of each kind begins; a setting that `ALTER SYSTEM` made, and that it can take back; a database.
SETTING, DATABASE, JOB = "setting postgresql.auto.conf ", "database ", "job "
#: How the value begins that stands for one which nobody may read.
HASHED = "sha256 "
_SECRETIVE = re.compile(r"conninfo|command|pass|secret|token|key")
_ALLOWED = """SELECT has_function_privilege('pg_hba_file_rules()', 'execute')
    AND has_function_privilege('pg_show_all_file_settings()', 'execute')"""
_SETTINGS = """SELECT format('setting %s %s', regexp_replace(sourcefile, '.*/', ''), name), setting
    FROM pg_file_settings WHERE name IS NOT NULL ORDER BY seqno"""
# options may hold a password of a directory service: they are told apart and not read
_RULES = """SELECT concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address,
    netmask, auth_method, 'options ' || left(md5(array_to_string(options, ' ')), 8), error)
    FROM pg_hba_file_rules ORDER BY line_number"""
_DATABASES = """SELECT 'database ' || datname, pg_get_userbyid(datdba) FROM pg_database
    WHERE datallowconn AND NOT datistemplate AND datname <> %(live)s
    AND NOT (datname ~ '_(before|restored)_' AND starts_with(%(live)s, split_part(datname, '_', 1)))"""
# pg_cron keeps its jobs in one database, which is mostly not that of the deployment; a command may hold a password
_CLOCK = "SELECT current_setting('cron.database_name', true)"
_JOBS = "SELECT format('job %s %s %s %s', schedule, username, database, left(md5(command), 8)) FROM cron.job"
_NO_JOB = (
    "DELETE FROM cron.job WHERE format('job %%s %%s %%s %%s', schedule, username, database, left(md5(command), 8)) = %s"
)


def read(server: Server, connection: Connection, live: str) -> dict[str, str] | None:
    """Everything of it by name; None where the role of the session may not know.

    Args:
        server: where it is.
        connection: to any database of it.
        live: the database of the deployment; it and what rollbacks make beside it are left out.
    """
    allowed = connection.execute(_ALLOWED).fetchone()
    if not (allowed and allowed[0]):
        return None
    rules = [str(row[0]) for row in connection.execute(_RULES)]
    found = {str(name): _shown(str(name), str(value)) for name, value in connection.execute(_SETTINGS)}
    found |= {f"rule {one}": "" for one in rules}
    # the first rule that fits is the one that counts
    found["rules in their order"] = hashlib.sha256("\n".join(rules).encode()).hexdigest()[:16]
    found |= {str(name): str(owner) for name, owner in connection.execute(_DATABASES, {"live": live})}
    return found | dict.fromkeys(_jobs(server, connection, live), "")


def raw(connection: Connection) -> dict[str, list[Any]]:
    """All settings and rules as they stand in the files, for sealed evidence alone; empty for who may not know."""
    allowed = connection.execute(_ALLOWED).fetchone()
    if not (allowed and allowed[0]):
        return {}
    questions = {"settings": "TABLE pg_file_settings", "rules": "TABLE pg_hba_file_rules"}
    return {name: connection.execute(one.encode()).fetchall() for name, one in questions.items()}


def _shown(name: str, value: str) -> str:
    """A value that may hold a password, such as a command with its arguments, is told apart and not told."""
    return f"{HASHED}{hashlib.sha256(value.encode()).hexdigest()[:16]}" if _SECRETIVE.search(name) else value


def _jobs(server: Server, connection: Connection, live: str) -> list[str]:
    """Those that are kept outside of the deployment's database; the ones in it come and go with it."""
    elsewhere = _clock(connection)
    if elsewhere in ("", live):
        return []
    with server.connect(elsewhere) as session:
        there = session.execute("SELECT to_regclass('cron.job') IS NOT NULL").fetchone()
        return [str(row[0]) for row in session.execute(_JOBS)] if there and there[0] else []


def _clock(connection: Connection) -> str:
    found = connection.execute(_CLOCK).fetchone()
    return str(found[0] or "") if found else ""


def remove_job(server: Server, connection: Connection, name: str) -> None:
    """Take a job away, by the name that `read` gives it; pg_cron knows when it starts again."""
    with server.connect(_clock(connection), autocommit=True) as session:
        session.execute(_NO_JOB, (name,))
