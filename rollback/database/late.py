"""Late writes: what the live database has and a backup has not, row by row, before anybody decides to go back to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from rollback.database import contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rollback.database.server import Connection

__all__ = ["Late", "differing", "figures", "late_writes"]

_KEY = """
    SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass ORDER BY a.attname"""
_BATCH = 5000
#: Keys are spread over so many buckets (a power of two); what differs in a few rows is a few buckets.
_BUCKETS = 4096
_END = ("", "")


@dataclass(frozen=True)
class Late:
    """What going back means for one table.

    Attributes:
        new: rows that are in the live database alone: they will not be there.
        changed: rows whose values were changed since: they will be as they were.
        deleted: rows that are in the backup alone: they will be back.
        keyless: the table has no primary key: only its number of rows could be compared.
        unreadable: why the live table cannot be read; nobody knows what it has had.
    """

    table: str
    new: int = 0
    changed: int = 0
    deleted: int = 0
    keyless: bool = False
    unreadable: str = ""

    @property
    def any(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.new or self.changed or self.deleted or self.unreadable)

    def __str__(self) -> str:
        if self.unreadable:
            return f"{self.table}: {self.unreadable}, so what came after the backup is lost and nobody can count it"
        how = " (no key: by number alone)" if self.keyless else ""
        return (
            f"{self.table}: {self.new} new rows lost, {self.changed} as before, {self.deleted} deleted ones back{how}"
        )


def figures(late: Sequence[Late]) -> dict[str, float]:
    """What going back means altogether, in rows; a table that cannot be read counts as one that nobody knows."""
    sums = {
        "rows_lost": sum(one.new for one in late),
        "rows_as_before": sum(one.changed for one in late),
        "rows_back": sum(one.deleted for one in late),
    }
    unknown = sum(bool(one.unreadable) for one in late)
    return {**sums, "tables_unknown": unknown} if unknown else {**sums}


def late_writes(live: Connection, restored: Connection, listed: Path) -> list[Late]:
    """Compare every table; rows that will be lost, set back or back again go to a file, one JSON object a line.

    Args:
        live: a transaction on the live database.
        restored: a transaction on what was restored.
        listed: where the rows go; private to the owner.
    """
    listed.unlink(missing_ok=True)
    listed.touch(mode=0o600)
    there, here = contents.columns(restored), contents.columns(live)
    found = []
    with listed.open("a", encoding="utf-8") as file:
        for table in sorted(here.keys() | there.keys()):
            try:
                with live.transaction(), restored.transaction():
                    late = _of_table(live, restored, table, file, in_both=(table in here, table in there))
            except psycopg.DatabaseError as error:
                if live.broken or restored.broken:
                    raise
                late = Late(table, unreadable=f"cannot be read ({error.diag.message_primary or error})")
            found.append(late)
    return [one for one in found if one.any]


def _of_table(live: Connection, restored: Connection, table: str, file: Any, *, in_both: tuple[bool, bool]) -> Late:
    match in_both:
        case (True, False):
            return Late(table, new=_count(live, table), keyless=True)
        case (False, True):
            return Late(table, unreadable=f"is gone ({_count(restored, table)} rows of it are in the backup)")
    return _compared(live, restored, table, file)


def _compared(live: Connection, restored: Connection, table: str, file: Any) -> Late:
    schema, _, name = table.partition(".")
    key = [str(row[0]) for row in live.execute(_KEY, (schema, name)).fetchall()]
    if not key:
        now, then = _count(live, table), _count(restored, table)
        return Late(table, new=max(0, now - then), deleted=max(0, then - now), keyless=True)
    found = list(differing(live, restored, table, key))
    for start in range(0, len(found), _BATCH):
        some = {identity: kind for kind, identity in found[start : start + _BATCH]}
        here = [identity for identity, kind in some.items() if kind != "deleted"]
        gone = [identity for identity, kind in some.items() if kind == "deleted"]
        for identity, row in (*_rows(live, table, key, here), *_rows(restored, table, key, gone)):
            file.write(json.dumps({"table": table, "kind": some[identity], "row": row}, ensure_ascii=False) + "\n")
    kinds = [kind for kind, _ in found]
    return Late(table, kinds.count("new"), kinds.count("changed"), kinds.count("deleted"))


def _merged(live: Iterator[tuple[str, str]], then: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Both are sorted by key: one pass."""
    a, b = next(live, _END), next(then, _END)
    while a is not _END or b is not _END:
        if b is _END or (a is not _END and a[0] < b[0]):
            yield "new", a[0]
            a = next(live, _END)
        elif a is _END or b[0] < a[0]:
            yield "deleted", b[0]
            b = next(then, _END)
        else:
            if a[1] != b[1]:
                yield "changed", a[0]
            a, b = next(live, _END), next(then, _END)


def differing(live: Connection, restored: Connection, table: str, key: list[str]) -> Iterator[tuple[str, str]]:
    """Every row that differs: "new", "changed" or "deleted" since, and its key as text, in the order of that text.

    Keys are spread over buckets: the rows of a bucket that is the same on both sides are not fetched.
    """
    now, then = _buckets(live, table, key), _buckets(restored, table, key)
    some = sorted(one for one in now.keys() | then.keys() if now.get(one) != then.get(one))
    return _merged(_keys(live, table, key, some), _keys(restored, table, key, some))


def _buckets(session: Connection, table: str, key: list[str]) -> dict[int, object]:
    question = sql.SQL("SELECT {} AS b, count(*), sum({}::numeric)::text FROM {} GROUP BY b")
    parts = _bucket(key), _digest(session, table), _relation(table)
    return {int(str(bucket)): digest for bucket, *digest in session.execute(question.format(*parts))}


def _bucket(key: list[str]) -> sql.Composable:
    columns = sql.SQL(", ").join(map(sql.Identifier, key))
    return sql.SQL("hashtext(ROW({})::text) & {}").format(columns, sql.Literal(_BUCKETS - 1))


def _digest(session: Connection, table: str) -> sql.Composable:
    row = sql.SQL(", ").join(map(sql.Identifier, contents.columns(session)[table]))
    return sql.SQL("hashtextextended(ROW({})::text, 0)").format(row)


def _keys(session: Connection, table: str, key: list[str], buckets: list[int]) -> Iterator[tuple[str, str]]:
    """Key and hash of every row in these buckets, in the order of the key's text."""
    question = sql.SQL('SELECT {} COLLATE "C" AS k, {}::text FROM {} WHERE {} = ANY(%s) ORDER BY k')
    parts = _identity(key), _digest(session, table), _relation(table), _bucket(key)
    with session.cursor("late") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(question.format(*parts), (buckets,))
        for identity, digest in cursor:
            yield str(identity), str(digest)


def _identity(key: list[str]) -> sql.Composable:
    return sql.SQL("jsonb_build_array({})::text").format(sql.SQL(", ").join(map(sql.Identifier, key)))


def _rows(live: Connection, table: str, key: list[str], identities: list[str]) -> Iterator[tuple[str, Any]]:
    question = sql.SQL("SELECT {0}, to_jsonb(one) FROM {1} one WHERE {0} = ANY(%s)")
    found = live.execute(question.format(_identity(key), _relation(table)), (identities,))
    return ((str(identity), row) for identity, row in found.fetchall())


def _count(session: Connection, table: str) -> int:
    found = session.execute(sql.SQL("SELECT count(*) FROM {}").format(_relation(table))).fetchone()
    return int(str(found[0])) if found else 0


def _relation(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
