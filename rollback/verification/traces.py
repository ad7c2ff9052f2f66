"""What a visit leaves in the database is found by what refers to the account, and taken away: nothing stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from rollback.outcome import Failed
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from rollback.database.server import Connection
    from rollback.tables import UploadsTable, VerifyTable

__all__ = ["Belongings", "Traces"]

_REFERRING = """
    SELECT n.nspname, c.relname, a.attname, f.attname,
           (SELECT array_agg(p.attname::text ORDER BY p.attname) FROM pg_index i JOIN pg_attribute p
            ON p.attrelid = i.indrelid AND p.attnum = ANY(i.indkey) WHERE i.indrelid = k.conrelid AND i.indisprimary)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
    WHERE k.contype = 'f' AND k.confrelid = %s::regclass AND cardinality(k.conkey) = 1 ORDER BY 1, 2, 3"""
_WHERE = """
    SELECT (SELECT system_identifier FROM pg_control_system())::text || ' ' || oid FROM pg_database
    WHERE datname = current_database()"""


@dataclass(frozen=True)
class Belongings:
    """The rows of one account.

    Attributes:
        database: which one it is: after a swap the same name is another one.
        account: value of its key, as text.
        rows: by table, the rows that are the account's own, each by its key; key and row are JSON.
    """

    database: str
    account: str
    rows: dict[str, dict[str, Any]]

    def beyond(self, before: Belongings) -> list[str]:
        """Tables in which there is something that was not there before, or not so."""
        then = before.rows
        return [name for name, rows in self.rows.items()
                if any(then.get(name, {}).get(key) != row for key, row in rows.items())]  # fmt: skip


@dataclass(frozen=True)
class _Owned:
    """A table with rows of accounts; the one of accounts itself is one of them."""

    relation: sql.Identifier
    name: str
    column: str
    key: tuple[str, ...]

    @property
    def keys(self) -> sql.Composed:
        """The key of a row as JSON: equal text for equal keys, whatever their types."""
        return sql.SQL("jsonb_build_array({})::text").format(sql.SQL(", ").join(map(sql.Identifier, self.key)))

    @property
    def its(self) -> sql.Composed:
        """Condition: the row is an account's, by an index that is mostly there."""
        return sql.SQL("{} = %s").format(sql.Identifier(self.column))


@dataclass(frozen=True)
class Traces:
    """Reads what is an account's, and puts it back as it was."""

    session: Connection
    table: VerifyTable
    uploads: UploadsTable

    def belongings(self, login: str) -> Belongings:
        """What the account has now.

        Raises:
            NotTested: there is no such account, or a table of its rows has no key to know them by.
        """
        found = self._all(login)
        if found is None:
            raise NotTested(f"{self.table.users} has no account {login}", "make it, or mend [verify] in rollback.toml")
        return found

    def _all(self, login: str) -> Belongings | None:
        owned = self._owned()
        question = sql.SQL("SELECT {}::text FROM {} WHERE {} = %s").format(
            sql.Identifier(owned[0].column), owned[0].relation, sql.Identifier(self.table.login)
        )
        row: Any = self.session.execute(question, (login,)).fetchone()
        if row is None:
            return None
        where: Any = self.session.execute(_WHERE).fetchone()
        return Belongings(where[0], row[0], {one.name: self._rows(one, row[0]) for one in owned})

    def _owned(self) -> list[_Owned]:
        """The table of accounts first, then all that refer to it directly; what refers to those goes with them."""
        found: list[Any] = self.session.execute(_REFERRING, (self.table.users,)).fetchall()
        if not found:
            raise NotTested(f"no table refers to {self.table.users}", "mend `users` in [verify] of rollback.toml")
        users = self.table.users.split(".")
        owned = [_Owned(sql.Identifier(*users), self.table.users, found[0][3], (found[0][3],))]
        for schema, name, column, _, key in found:
            if key is None:
                raise NotTested(f"{schema}.{name} refers to accounts and has no primary key")
            owned.append(_Owned(sql.Identifier(schema, name), f"{schema}.{name} by {column}", column, tuple(key)))
        return owned

    def _rows(self, one: _Owned, account: str) -> dict[str, Any]:
        question = sql.SQL("SELECT {}, to_jsonb(t) FROM {} t WHERE {}").format(one.keys, one.relation, one.its)
        rows: list[Any] = self.session.execute(question, (account,)).fetchall()
        return dict(rows)

    def put_back(self, login: str, before: Belongings) -> list[str]:
        """Take away what is new and give what was changed its values back; returns files that rows spoke of till then.

        What is gone meanwhile stays gone: somebody else took it away.

        Raises:
            Failed: the database is another one than then.
        """
        now = self._all(login)
        if now is None:
            return []
        if (now.database, now.account) != (before.database, before.account):
            raise Failed("The database was replaced meanwhile: what the visit left was not looked for.")
        with self.session.transaction():
            # what others delete meanwhile is not seen here: their files are not ours to take away
            self.session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = self._stored()
            for one in self._owned():
                self._take_away(one, before.account, now.rows[one.name].keys() - before.rows.get(one.name, {}).keys())
            gone = stored - self._stored()
        with self.session.transaction():
            # values alone: no trigger may set the time of the change anew
            self.session.execute("SET LOCAL session_replication_role = replica")
            for one in self._owned():
                self._give_back(one, before, now.rows[one.name])
        return sorted(gone)

    def _take_away(self, one: _Owned, account: str, keys: set[str]) -> None:
        question = sql.SQL("DELETE FROM {} WHERE {} AND {} = ANY(%s)").format(one.relation, one.its, one.keys)
        if keys:
            self.session.execute(question, (account, [*keys]))

    def _give_back(self, one: _Owned, before: Belongings, now: dict[str, Any]) -> None:
        then = before.rows.get(one.name, {})
        for key in then.keys() & now.keys():
            changed = [name for name, value in then[key].items() if now[key].get(name) != value]
            if changed:
                names = sql.SQL(", ").join(map(sql.Identifier, changed))
                question = sql.SQL(
                    "UPDATE {} SET ({}) = (SELECT {} FROM jsonb_populate_record(NULL::{}, %s)) WHERE {} AND {} = %s"
                ).format(one.relation, names, names, one.relation, one.its, one.keys)
                self.session.execute(question, (Jsonb(then[key]), before.account, key))

    def _stored(self) -> set[str]:
        """Names of all uploaded files that rows speak of."""
        table = sql.Identifier(*self.uploads.table.split("."))
        question = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(self.uploads.name), table)
        return {str(row[0]) for row in self.session.execute(question)}

    def stored_as(self, image: str) -> str | None:
        """The file of an image, by the key of its row; None where there is no such row."""
        table = sql.Identifier(*self.uploads.table.split("."))
        question = sql.SQL("SELECT {} FROM {} WHERE id::text = %s").format(sql.Identifier(self.uploads.name), table)
        row = self.session.execute(question, (image,)).fetchone()
        return str(row[0]) if row else None

    def left(self, login: str, before: Belongings) -> list[str]:
        """Tables in which something of a visit has stayed."""
        now = self._all(login)
        return [] if now is None else now.beyond(before)
