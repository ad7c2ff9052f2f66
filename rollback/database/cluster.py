"""What a server is beside its databases' contents and its roles: its settings, who may come in, which databases it has.

They lie in the data directory, which outlives every restore of a database: whoever was a superuser for a minute may
have left a setting that runs a program, or a rule that lets anybody in.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollback.database.server import Connection

__all__ = ["DATABASE", "SETTING", "read"]

#: How the name of each kind begins; a setting that `ALTER SYSTEM` made, and that it can take back; a database.
SETTING, DATABASE = "setting postgresql.auto.conf ", "database "
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


def read(connection: Connection, live: str) -> dict[str, str] | None:
    """Everything of it by name; None where the role of the session may not know.

    Args:
        connection: to any database of it.
        live: the database of the deployment; it and what rollbacks make beside it are left out.
    """
    allowed = connection.execute(_ALLOWED).fetchone()
    if not (allowed and allowed[0]):
        return None
    rules = [str(row[0]) for row in connection.execute(_RULES)]
    found = {str(name): str(value) for name, value in connection.execute(_SETTINGS)}
    found |= {f"rule {one}": "" for one in rules}
    # the first rule that fits is the one that counts
    found["rules in their order"] = hashlib.sha256("\n".join(rules).encode()).hexdigest()[:16]
    return found | {str(name): str(owner) for name, owner in connection.execute(_DATABASES, {"live": live})}
