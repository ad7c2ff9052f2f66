"""What was given out is taken back: tokens, sessions, passwords, and whoever is signed in at the database.

Hashes are set aside in a schema of their own, row by row, with the instant: that is the event by which the application
tells each user. What was revoked stays revoked in every database that is restored later: it is carried out there again,
for all that is older than the containment. Who was in wrote its dates too: what has none, or one that had not come yet
when it was written, is taken for older.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback import commands
from rollback.containment.given import CREATED, lacking, session_of, there, unheard
from rollback.database.attic import PREFIX
from rollback.database.names import relation
from rollback.outcome import Failed, Refused
from rollback.parts import files
from rollback.plan import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.containment.table import ContainmentTable
    from rollback.database.server import Connection
    from rollback.deployment import Deployment

__all__ = ["ASIDE", "FILE", "Decree", "Revocation", "again", "nothing_older"]

#: The schema of what is set aside; like an attic it is no part of any fingerprint.
ASIDE = f"{PREFIX}contained"
#: What was decreed, in the state of the deployment.
FILE = "revocations.json"
_TABLE = sql.SQL("{}.password_resets").format(sql.Identifier(ASIDE))
#: Ends every session of Redis whose key fits, and says how many.
_FORGET = (
    "local c='0' local n=0 repeat local r=redis.call('SCAN',c,'MATCH',KEYS[1],'COUNT',1000) c=r[1]"
    " for _,k in ipairs(r[2]) do n=n+redis.call('UNLINK',k) end until c=='0' return n"
)


@dataclass(frozen=True)
class Decree:
    """What was given out up to an instant is void.

    Attributes:
        run: of the containment.
        at: UTC, ISO 8601.
    """

    run: str
    at: str


def _decrees(path: Path) -> list[Decree]:
    return [Decree(**one) for one in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []


def again(deployment: Deployment, session: Connection, taken: datetime | None = None) -> int:
    """Carry out every containment so far in a database; how many accounts that concerned.

    Args:
        deployment: whose.
        session: on that database, in autocommit.
        taken: of a database that was restored, the instant of its backup; None: users write in it now.
    """
    table, decrees = deployment.settings.containment, _decrees(deployment.state / FILE)
    if not decrees:
        return 0
    with unheard(session):
        return sum(_carried_out(session, table, one, taken) for one in decrees)


def nothing_older(deployment: Deployment, what: str, at: datetime) -> None:
    """Say that something which brings back secrets and accounts is younger than the last containment.

    Args:
        deployment: whose.
        what: its name, for the sentence.
        at: what it was taken at.

    Raises:
        Refused: it is older.
    """
    path = deployment.state / FILE
    later = [one.at for one in _decrees(path) if datetime.fromisoformat(one.at) > at]
    if later:
        raise Refused(
            f"{what} is of before the containment of {later[-1]}: it has every secret, token and password that was"
            " revoked then.",
            f"name a newer one; to take it all the same, move {path} aside, and contain again before anybody is let in",
        )


def _older(column: str, decree: Decree, taken: datetime | None = None) -> sql.Composed:
    """Whether a row was there at the decree, or does not say believably that it was not.

    A date that had not come yet is no row's own: one that is written while the question is answered is not among them.
    """
    latest = (
        sql.SQL("clock_timestamp()") if taken is None else sql.Literal(taken + timedelta(seconds=1))
    )  # ids have no less
    return sql.SQL("({0} IS NULL OR {0} <= {1}::timestamptz OR {0} > {2})").format(
        sql.Identifier(column), sql.Literal(decree.at), latest
    )


def _carried_out(session: Connection, table: ContainmentTable, decree: Decree, taken: datetime | None) -> int:
    """All of it in one transaction; what is done already is not done again."""
    users = table.users
    names = {"users": relation(users.table), "aside": _TABLE, "id": sql.Identifier(users.id)}
    names |= {one: sql.Identifier(getattr(users, one)) for one in ("password", "flag")}
    names |= {"older": _older(users.created, decree, taken)}
    with session.transaction():
        session.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(ASIDE)))
        session.execute(_MADE.format(**names))
        for name, column in table.tokens.items():
            _end(session, name, column, decree, taken)
        moved = session.execute(_SET_ASIDE.format(**names), (decree.run, decree.at)).rowcount
        session.execute(_RESET.format(**names), (decree.run, decree.run))
    return moved


_MADE = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {aside} (account text, run text, at timestamptz NOT NULL, password_hash text,"
    " carried_out boolean NOT NULL DEFAULT false, PRIMARY KEY (account, run))"
)
_SET_ASIDE = sql.SQL(
    "INSERT INTO {aside} (account, run, at, password_hash) SELECT {id}::text, %s, %s, {password} FROM {users}"
    " WHERE {older} ON CONFLICT DO NOTHING"
)
#: Once for each account: who has set a new password since is not asked again; only the hash that was set aside is never
#: good again.
_RESET = sql.SQL(
    "WITH due AS (SELECT a.account FROM {aside} a JOIN {users} u ON u.{id}::text = a.account"
    " WHERE a.run = %s AND (NOT a.carried_out OR u.{password} = a.password_hash)),"
    " told AS (UPDATE {aside} SET carried_out = true WHERE run = %s AND NOT carried_out)"
    " UPDATE {users} SET {password} = NULL, {flag} = true FROM due WHERE {users}.{id}::text = due.account"
)


def _end(session: Connection, name: str, column: str, decree: Decree, taken: datetime | None) -> None:
    """End what is open in a table of tokens, as far as it was there then.

    A database of older migrations may not have the table yet: nothing is open there. `possible` has seen it in the live
    one, so it is not misspelt.
    """
    if not there(session, name):
        return
    command = sql.SQL("UPDATE {} SET {} = %s WHERE {} AND {}")
    where = sql.Identifier(column), _is_open(column), _older(CREATED, decree, taken)
    session.execute(command.format(relation(name), *where), (decree.at,))


def _is_open(column: str) -> sql.Composed:
    """Whether a token has not ended: one that ends some day is good until then."""
    return sql.SQL("({0} IS NULL OR {0} > clock_timestamp())").format(sql.Identifier(column))


@dataclass(frozen=True)
class Revocation:
    """The revocation of one run."""

    deployment: Deployment
    run: str

    @property
    def _path(self) -> Path:
        return self.deployment.state / FILE

    @property
    def _table(self) -> ContainmentTable:
        return self.deployment.settings.containment

    def decree(self) -> Decree | None:
        """What this run has decreed; None: nothing yet."""
        return next((one for one in _decrees(self._path) if one.run == self.run), None)

    def possible(self) -> None:
        """Say that the live database has every table and column that rollback.toml names.

        One that does not run yet is asked when it does, by `revoke`.

        Raises:
            Refused: what it lacks, and which tables it has.
        """
        try:
            self._named()
        except Failed:
            return

    def _named(self) -> None:
        with session_of(self.deployment) as session:
            wrong = lacking(session, self._table)
        if wrong:
            raise Refused(
                f"What was given out cannot be taken back: {'; '.join(wrong)}.",
                "mend rollback.toml; if it is right, and somebody dropped the table: `rollback contain isolate`, then"
                " `rollback contain restore` brings it back",
            )

    def revoke(self) -> None:
        """Decreed first, so that a restore after a kill knows it; then carried out everywhere.

        Raises:
            Failed: the database or Redis refuses.
            Refused: the database lacks what rollback.toml names; nothing is decreed.
        """
        if self.decree() is None:
            self._named()
            decrees = [*_decrees(self._path), Decree(self.run, datetime.now(UTC).isoformat())]
            files.write(self._path, json.dumps([asdict(one) for one in decrees], indent=1) + "\n", mode=0o600)
        self._sessions()  # first as well: whether all is revoked is read from the database alone
        with session_of(self.deployment) as session:
            again(self.deployment, session)
            self._strangers(session)
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                            " AND backend_type = 'client backend' AND application_name <> 'rollback'")  # fmt: skip
        self._sessions()

    def _strangers(self, session: Connection) -> None:
        """Roles that are not the deployment's may not sign in any more."""
        for name in _strangers(session, self.deployment):
            session.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(name)))

    def _sessions(self) -> None:
        for pattern in self._table.session_keys if self._table.redis else ():
            if not (said := self._redis("EVAL", _FORGET, "1", pattern)).isdigit():  # whatever it refuses it with
                raise Failed(f"Redis did not end the sessions {pattern}: {said}.", "`rollback resume` tries again")

    def _redis(self, *words: str) -> str:
        """One command at Redis; its password is in the container's own environment."""
        there = [one for one in self.deployment.serving(self._table.redis or "") if one.running]
        if not there:
            raise Failed(f"The service `{self._table.redis}` of [containment] redis is not running.", "start it")
        ask = 'REDISCLI_AUTH="${REDISCLI_AUTH:-${REDIS_PASSWORD:-}}" exec redis-cli --no-auth-warning "$@"'
        said = self.deployment.engine.ask(commands.execute(there[0].id, ["sh", "-c", ask, "ask", *words])).strip()
        if said.startswith(("NOAUTH", "ERR", "WRONGPASS")):
            raise Failed(f"Redis refuses: {said}.", "is REDIS_PASSWORD in its environment?")
        return said

    # seen

    def reading(self) -> Reading:
        """Whether nothing of before the decree is good any more."""
        decree = self.decree()
        if decree is None:
            return Reading(holds=False, seen="tokens, sessions and passwords are those of before")
        with session_of(self.deployment) as session:
            open_ = {name: self._open(session, name, column, decree) for name, column in self._table.tokens.items()}
            due, told = self._due(session, decree)
            strangers = _strangers(session, self.deployment)
        wrong = [f"{count} open in {name}" for name, count in open_.items() if count]
        wrong += [f"{due} passwords of before"] if due else []
        wrong += [f"may sign in: {', '.join(strangers)}"] if strangers else []
        return Reading(not wrong, "; ".join(wrong) or f"{told} users have to set a new password; nothing older is good")

    def _open(self, session: Connection, name: str, column: str, decree: Decree) -> int:
        if not there(session, name):
            return 0
        question = sql.SQL("SELECT count(*) FROM {} WHERE {} AND {}")
        return _number(session, question.format(relation(name), _is_open(column), _older(CREATED, decree)))

    def _due(self, session: Connection, decree: Decree) -> tuple[int, int]:
        """Accounts of then without an event, or still with the hash that it set aside, and events."""
        users = self._table.users
        if not there(session, f"{ASIDE}.password_resets"):
            return 1, 0
        question = sql.SQL(
            "SELECT count(*) FROM {} u WHERE {} AND NOT EXISTS (SELECT FROM {} a WHERE a.account = u.{}::text"
            " AND a.run = %s AND a.carried_out"
            " AND (u.{password} IS NULL OR u.{password} IS DISTINCT FROM a.password_hash))"
        ).format(
            *(relation(users.table), _older(users.created, decree), _TABLE, sql.Identifier(users.id)),
            password=sql.Identifier(users.password),
        )
        told = sql.SQL("SELECT count(*) FROM {} WHERE run = %s").format(_TABLE)
        return _number(session, question, self.run), _number(session, told, self.run)


def _strangers(session: Connection, deployment: Deployment) -> list[str]:
    """Roles that may sign in and are not the deployment's."""
    known = [*deployment.settings.containment.roles, deployment.settings.database.user]
    rows = session.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> ALL(%s) ORDER BY 1", (known,))
    return [str(row[0]) for row in rows]


def _number(session: Connection, question: sql.Composed, *values: Any) -> int:
    row = session.execute(question, values).fetchone()
    return int(str(row[0])) if row else 0
