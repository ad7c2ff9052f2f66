"""What the text of values and definitions depends on in a session, pinned: equal things give equal text."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Connection

__all__ = ["PINNED", "pinned"]

PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
    # rows that a policy would hide are an error, not fewer rows
    "row_security": "off",
}
#: While things are compared every name comes out with its schema, wherever the session looks first.
_COMPARED = PINNED | {"search_path": "pg_catalog"}


@contextmanager
def pinned(connection: Connection) -> Iterator[None]:
    """While it lasts equal rows and definitions have equal text, whatever a script has SET in this session before.

    Afterwards the session is as it was, if its transaction can still be used.
    """
    row = connection.execute("SELECT array_agg(current_setting(one)) FROM unnest(%s::text[]) one", ([*_COMPARED],))
    before: Any = row.fetchone()
    _set(connection, [*_COMPARED.values()])
    try:
        yield
    finally:
        if not connection.broken and connection.info.transaction_status.name != "INERROR":
            _set(connection, before[0])


def _set(connection: Connection, values: list[str]) -> None:
    question = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS one (name, value)"
    connection.execute(question, ([*_COMPARED], values))
