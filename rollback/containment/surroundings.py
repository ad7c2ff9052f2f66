"""The server around a database, against what was recorded before the compromise: roles, grants, settings, rules.

None of it is in the database that is restored, all of it is within reach of whoever was a superuser for a minute. What
SQL can put right is put right; a rule or a setting in a file of the data directory is named, and the door stays shut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from rollback.containment.given import unheard
from rollback.database import cluster
from rollback.database.backup import state
from rollback.database.beside import PRIVILEGES, put_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollback.database.backup.manifest import State
    from rollback.database.server import Connection, Server

__all__ = ["Recorded", "Surroundings", "shut"]

_ATTRIBUTES = ("superuser", "createrole", "createdb", "login", "replication", "bypassrls")
_WORDS = {f"{no}{one}": sql.SQL(f"{no}{one}".upper()) for one in _ATTRIBUTES for no in ("", "no")}
_MEMBER = re.compile(r"(?:^| )in (?P<roles>\S+?(?: \(admin\))?(?:,\S+?(?: \(admin\))?)*)(?: set |$)")
_SET = " set "
#: What the team may have taken away since.
_MAY_GO = (cluster.DATABASE, cluster.JOB)
_PLACED = re.compile(r"(?:database|role (?P<role>\S+)) (?P<key>[\w.]+)=(?P<value>.*)", re.DOTALL)
_EXPLODED = """SELECT CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
    FROM aclexplode(%s::aclitem[])"""
_ROLES_WITH_SETTINGS = """SELECT DISTINCT setrole::regrole::text FROM pg_db_role_setting
    WHERE setrole <> 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)"""


@dataclass(frozen=True)
class Recorded:
    """What the manifest of the backup says of them; see `rollback.database.backup.manifest.State`."""

    roles: Mapping[str, str]
    acl: list[str]
    settings: list[str]
    server: Mapping[str, str] | None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Recorded:
        """From the facts of a run."""
        return cls(facts["roles"], facts["acl"], facts["settings"], facts["server"])

    @staticmethod
    def facts(known: State) -> dict[str, Any]:
        """For the journal."""
        return {"roles": known.roles, "acl": known.acl, "settings": known.settings, "server": known.server}


@dataclass(frozen=True)
class Surroundings:
    """The server around one database.

    Attributes:
        live: the name of the database.
        recorded: what is right.
    """

    live: str
    recorded: Recorded

    # what is not as recorded

    def strangers(self, session: Connection) -> list[str]:
        """Roles that were not there."""
        return sorted(set(state.roles(session)) - set(self.recorded.roles))

    def changed(self, live: Server, session: Connection) -> list[str]:
        """All other differences, a sentence each; the session is in the live database."""
        now, then = state.roles(session), self.recorded.roles
        both = sorted(set(now) & set(then))
        return [
            *(f"role {one}: {now[one]}, was {then[one]}" for one in both if now[one] != then[one]),
            *_other("grant on the database", state.acl(session), self.recorded.acl),
            *_other("setting of the database", state.settings(session), self.recorded.settings),
            *(f"{name}: {value or 'new'}" for name, value in self._of_server(live, session).items()),
        ]

    def _of_server(self, live: Server, session: Connection) -> dict[str, str]:
        """What is new or other; what is gone as well, by its name."""
        then, now = self.recorded.server, cluster.read(live, session, self.live)
        if then is None or now is None:
            return {}
        other = {name: value for name, value in now.items() if then.get(name) != value}
        return other | {name: "gone" for name in then if name not in now and not name.startswith(_MAY_GO)}

    # put right

    def put_right(self, live: Server) -> None:
        """As far as SQL reaches; what is left is for `changed` to say.

        Raises:
            psycopg.Error: PostgreSQL refuses.
        """
        with live.connect("postgres", autocommit=True) as admin:
            for name in self.strangers(admin):
                self._drop(live, name)
            self._roles(admin)
        with live.connect(self.live, autocommit=True) as session:
            self._grants(session)
            self._settings(session)
            self._server(live, session)

    def _drop(self, live: Server, name: str) -> None:
        """Whatever it owns anywhere becomes the deployment's, its grants and sessions end, it goes."""
        role, heir = sql.Identifier(name), sql.Identifier(live.user)
        with live.connect("postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(role))
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,))
            rows = admin.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
        for (database,) in rows:
            with live.connect(str(database), autocommit=True) as session:
                # the database of before is kept as it was, read-only, and holds what is his as well
                session.execute("SET default_transaction_read_only = off")
                with unheard(session):
                    session.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, heir))
                    session.execute(sql.SQL("DROP OWNED BY {}").format(role))
        with live.connect("postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(role))

    def _roles(self, admin: Connection) -> None:
        """Attributes, memberships and settings of the known roles as they were."""
        now = state.roles(admin)
        for name in sorted(set(now) & set(self.recorded.roles)):
            then = self.recorded.roles[name]
            role, had, has = sql.Identifier(name), set(then.split()), set(now[name].split())
            words = [one if one in had else f"no{one}" for one in _ATTRIBUTES if (one in had) != (one in has)]
            if words:
                change = sql.SQL(" ").join([_WORDS[one] for one in words])
                admin.execute(sql.SQL("ALTER ROLE {} {}").format(role, change))
            for group in sorted(_groups(now[name]) - _groups(then)):
                admin.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(group), role))
            if _SET in now[name] and _SET not in then:
                admin.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))

    def _grants(self, session: Connection) -> None:
        """Grants on the database: all away, and the recorded ones given."""
        if not _other("", state.acl(session), self.recorded.acl):
            return
        name = sql.Identifier(self.live)
        for item, there in ((self._items(session), False), (self._wanted(), True)):
            for grantee, privilege, grantable in session.execute(_EXPLODED, (item,)).fetchall():
                who = sql.Identifier(str(grantee)) if grantee else sql.SQL("PUBLIC")
                verb, to = (sql.SQL("GRANT"), sql.SQL("TO")) if there else (sql.SQL("REVOKE"), sql.SQL("FROM"))
                option = sql.SQL(" WITH GRANT OPTION" if grantable and there else "")
                words = sql.SQL("{} {} ON DATABASE {} {} {}{}")
                session.execute(words.format(verb, PRIVILEGES[str(privilege)], name, to, who, option))

    @staticmethod
    def _items(session: Connection) -> list[str]:
        return [one.removeprefix("grant ") for one in state.acl(session) if one.startswith("grant ")]

    def _wanted(self) -> list[str]:
        return [one.removeprefix("grant ") for one in self.recorded.acl if one.startswith("grant ")]

    def _settings(self, session: Connection) -> None:
        """Settings of the database, and of roles in it: all away, and the recorded ones made."""
        if not _other("", state.settings(session), self.recorded.settings):
            return
        name = sql.Identifier(self.live)
        session.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
        for (role,) in session.execute(_ROLES_WITH_SETTINGS, (self.live,)).fetchall():
            session.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(sql.Identifier(str(role).strip('"')), name)
            )
        for one in self.recorded.settings:
            if found := _PLACED.fullmatch(one):
                put_setting(session, name, (found["role"] or "").strip('"'), found["key"], found["value"])

    def _server(self, live: Server, session: Connection) -> None:
        """What `ALTER SYSTEM` made, jobs, and databases that nobody knows: those are shut, and kept as evidence."""
        then: Mapping[str, Any] = self.recorded.server or {}
        for name in self._of_server(live, session):
            if name.startswith(cluster.SETTING) and not str(then.get(name, "")).startswith(cluster.HASHED):
                key = sql.SQL(".").join(map(sql.Identifier, name.removeprefix(cluster.SETTING).split(".")))
                change = sql.SQL("SET {} = {}").format(key, sql.Literal(then[name])) if name in then else None
                session.execute(sql.SQL("ALTER SYSTEM {}").format(change or sql.SQL("RESET {}").format(key)))
            elif name.startswith(cluster.DATABASE) and name not in then:
                shut(session, name.removeprefix(cluster.DATABASE))
            elif name.startswith(cluster.JOB) and name not in then:
                cluster.remove_job(live, session, name)
        session.execute("SELECT pg_reload_conf()")


def shut(session: Connection, database: str) -> None:
    """Nobody works in a database any more, and nothing in it runs; it is kept as it is."""
    session.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database)))
    session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))


def _groups(told: str) -> set[str]:
    """The roles that a role is in, from its text."""
    found = _MEMBER.search(told)
    return {one.removesuffix(" (admin)").strip('"') for one in found["roles"].split(",")} if found else set()


def _other(what: str, now: list[str], then: list[str]) -> list[str]:
    return [
        *(f"{what} is there and was not: {one}" for one in now if one not in then),
        *(f"{what} is gone: {one}" for one in then if one not in now),
    ]
