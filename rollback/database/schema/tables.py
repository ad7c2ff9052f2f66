"""One table in two schemas: its columns and settings, and the statements that make one the other, rows and all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollback.database.schema.objects import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.database.server import Connection

__all__ = ["Alteration", "Column", "Relation", "relations"]

_COLUMNS = """
    SELECT format('%I.%I', n.nspname, c.relname), a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
           CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
           CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END, t.typstorage::text,
           a.attcompression::text, a.attstattarget, coalesce(d.oid, 0)::int8
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' ORDER BY 1, a.attnum"""
_RELATIONS = """
    SELECT format('%I.%I', n.nspname, c.relname), c.oid::int8, pg_get_userbyid(c.relowner)::text,
           c.relpersistence::text, c.relforcerowsecurity, c.relreplident::text, coalesce(c.reloptions, '{}'),
           coalesce((SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_index i JOIN pg_attribute a
                     ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
                     WHERE i.indisprimary AND i.indrelid = c.oid), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"""
_CHECKS = """
    SELECT format('%I.%I', n.nspname, c.relname), k.conname::text, k.oid::int8, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'c' AND c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2"""
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"": "default", "p": "pglz", "l": "lz4"}
_IDENTITY = {"a": "ALWAYS", "d": "BY DEFAULT"}
_REPLICA = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}


@dataclass(frozen=True)
class Column:
    """A column of a table, in the catalogue's words."""

    name: str
    type: str
    notnull: bool
    default: str | None
    generated: str
    identity: str
    collation: str | None
    storage: str | None
    usual_storage: str
    compression: str
    statistics: int
    default_oid: int


@dataclass(frozen=True)
class Check:
    """A CHECK constraint of a table: pg_dump writes it into the table."""

    oid: int
    definition: str


@dataclass(frozen=True)
class Relation:
    """A table: quoted name, settings, columns by name, and its primary key."""

    name: str
    oid: int
    owner: str
    persistence: str
    forced: bool
    replica: str
    options: tuple[str, ...]
    key: tuple[str, ...]
    columns: dict[str, Column] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)


def relations(session: Connection) -> dict[str, Relation]:
    """Every table of the database, by its quoted name; the session is pinned, so names are said in full."""
    found = {}
    for name, oid, owner, persistence, forced, replica, options, key in _asked(session, _RELATIONS):
        found[name] = Relation(name, oid, owner, persistence, forced, replica, tuple(options), tuple(key))
    for table, *facts in _asked(session, _COLUMNS):
        found[table].columns[facts[0]] = Column(*facts)
    for table, name, oid, definition in _asked(session, _CHECKS):
        found[table].checks[name] = Check(oid, definition)
    return found


def _asked(session: Connection, question: str) -> list[Any]:
    return session.execute(question.encode()).fetchall()


@dataclass(frozen=True)
class Alteration:
    """What makes a table what it was.

    Attributes:
        now: the table as it is.
        then: as it is to be.
        anew: columns whose type of the same name is made anew.
        apart: columns whose default is said by an entry of its own, after the table.
        standing: identities of defaults and checks that stand on something that goes: they are made anew.
    """

    now: Relation
    then: Relation
    anew: Collection[str] = ()
    apart: Collection[str] = ()
    standing: Collection[int] = ()

    @property
    def lost(self) -> list[str]:
        """Columns that hold values and go."""
        both = self.now.columns.keys() & self.then.columns.keys()
        gone = self.now.columns.keys() - both | {one for one in both if self._computed_anew(one)}
        return sorted(one for one in gone if not self.now.columns[one].generated)

    @property
    def returned(self) -> list[str]:
        """Columns that come back and hold values of their own."""
        new = self.then.columns.keys() - self.now.columns.keys()
        return sorted(one for one in new if not self.then.columns[one].generated)

    @property
    def dropped(self) -> list[str]:
        """Columns that are dropped, computed ones that are made anew among them."""
        return [
            one for one in self.now.columns if one not in self.then.columns or self._computed_anew(one)
        ]  # fmt: skip

    @property
    def retyped(self) -> list[str]:
        """Columns that get another type, or one that is made anew."""
        return [one for one in self._both() if self._retyped(one)]

    @property
    def untouched(self) -> list[str]:
        """Columns whose values must be what they were."""
        return sorted(set(self._both()) - set(self.retyped))

    @property
    def touched(self) -> bool:
        """Whether anything is done to the table at all."""
        return bool(self.unsaid() or self.drops() or self.statements() or self.last())

    def unlike(self, name: str) -> bool:
        """Whether a column has to be told its default anew."""
        old, new = self.now.columns.get(name), self.then.columns[name]
        return old is None or name in self.dropped or self._unset(name) or old.default != new.default

    def _both(self) -> list[str]:
        return [one for one in self.then.columns if one in self.now.columns and not self._computed_anew(one)]

    def _computed_anew(self, name: str) -> bool:
        """PostgreSQL makes no stored column computed, nor computed otherwise."""
        old, new = self.now.columns[name], self.then.columns.get(name)
        if new is None or not new.generated:
            return False
        return old.default_oid in self.standing or (old.generated, old.default) != (new.generated, new.default)

    def _type(self, name: str) -> bool:
        old, new = self.now.columns[name], self.then.columns[name]
        return (old.type, old.collation) != (new.type, new.collation)

    def unsaid(self) -> list[str]:
        """First of all: checks and defaults that stand on something that goes."""
        checks = [self._alter(f"DROP CONSTRAINT {quoted(one)}") for one in self.now.checks if not self._stays(one)]
        return checks + [
            self._column(name, "DROP DEFAULT")
            for name, one in self.now.columns.items()
            if one.default_oid and not one.generated and self._unset(name)
        ]

    def _stays(self, check: str) -> bool:
        old, new = self.now.checks[check], self.then.checks.get(check)
        return new is not None and old.oid not in self.standing and old.definition == new.definition

    def _unset(self, name: str) -> bool:
        return name not in self.dropped and (self.now.columns[name].default_oid in self.standing or self._retyped(name))

    def _retyped(self, name: str) -> bool:
        return name in self.then.columns and (self._type(name) or name in self.anew)

    @property
    def rechecked(self) -> list[str]:
        """Checks that are made."""
        return [one for one in self.then.checks if one not in self.now.checks or not self._stays(one)]

    def drops(self) -> list[str]:
        """Then: columns that go."""
        return [self._alter(f"DROP COLUMN {quoted(one)}") for one in self.dropped]

    def statements(self) -> list[str]:
        """Then, where the table stands in the order of things: all but what rows have to be ready for."""
        dropped = set(self.dropped)
        found = [*self._settings()]
        for name, new in self.then.columns.items():
            old = self.now.columns.get(name)
            found += self._added(new) if old is None or name in dropped else self._changed(old, new)
        return found

    def last(self) -> list[str]:
        """At last, when values are back: NOT NULL and checks."""
        dropped = set(self.dropped)
        checks = [(one, self.then.checks[one].definition) for one in self.rechecked]
        return [self._alter(f"ADD CONSTRAINT {quoted(name)} {definition}") for name, definition in checks] + [
            self._alter(f"ALTER COLUMN {quoted(name)} SET NOT NULL")
            for name, new in self.then.columns.items()
            if new.notnull and (name not in self.now.columns or name in dropped or not self.now.columns[name].notnull)
        ]

    def _alter(self, what: str) -> str:
        return f"ALTER TABLE {self.then.name} {what};"

    def _column(self, name: str, what: str) -> str:
        return self._alter(f"ALTER COLUMN {quoted(name)} {what}")

    def _settings(self) -> Iterator[str]:
        now, then = self.now, self.then
        if now.owner != then.owner:
            yield self._alter(f"OWNER TO {quoted(then.owner)}")
        if now.persistence != then.persistence:
            yield self._alter("SET UNLOGGED" if then.persistence == "u" else "SET LOGGED")
        if now.forced != then.forced:
            yield self._alter(f"{'' if then.forced else 'NO '}FORCE ROW LEVEL SECURITY")
        if now.replica != then.replica and then.replica in _REPLICA:
            yield self._alter(f"REPLICA IDENTITY {_REPLICA[then.replica]}")
        if now.options != then.options:
            for what, options in (("RESET", [one.partition("=")[0] for one in now.options]), ("SET", then.options)):
                if options:
                    yield self._alter(f"{what} ({', '.join(options)})")

    def _added(self, new: Column) -> Iterator[str]:
        words = f"ADD COLUMN {quoted(new.name)} {new.type}" + (f" COLLATE {new.collation}" if new.collation else "")
        if new.generated:
            words += f" GENERATED ALWAYS AS ({new.default}) STORED"
        elif new.default is not None and new.name not in self.apart:
            words += f" DEFAULT {new.default}"
        yield self._alter(words)
        yield from self._stored(None, new)

    def _changed(self, old: Column, new: Column) -> Iterator[str]:
        name, retyped = new.name, self._retyped(new.name)
        if old.generated and not new.generated:
            yield self._column(name, "DROP EXPRESSION")
        if old.identity and not new.identity:
            yield self._column(name, "DROP IDENTITY")
        elif old.identity and new.identity and old.identity != new.identity:
            yield self._column(name, f"SET GENERATED {_IDENTITY[new.identity]}")
        default = None if old.generated or old.identity or self._unset(name) else old.default
        if default is not None and default != new.default:
            yield self._column(name, "DROP DEFAULT")
        if retyped:
            yield self._column(name, self._of_type(new))
        if not new.generated and new.default is not None and default != new.default and name not in self.apart:
            yield self._column(name, f"SET DEFAULT {new.default}")
        if old.notnull and not new.notnull:
            yield self._column(name, "DROP NOT NULL")
        yield from self._stored(old, new)

    def _of_type(self, new: Column) -> str:
        through = "::text" if new.name in self.anew else ""
        collation = f" COLLATE {new.collation}" if new.collation else ""
        return f"TYPE {new.type}{collation} USING {quoted(new.name)}{through}::{new.type}"

    def _stored(self, old: Column | None, new: Column) -> Iterator[str]:
        storage, compression, statistics = (
            (None, "", -1) if old is None else (old.storage, old.compression, old.statistics)
        )
        if storage != new.storage:
            yield self._column(new.name, f"SET STORAGE {_STORAGE[new.storage or new.usual_storage]}")
        if compression != new.compression:
            yield self._column(new.name, f"SET COMPRESSION {_COMPRESSION[new.compression]}")
        if statistics != new.statistics:
            yield self._column(new.name, f"SET STATISTICS {new.statistics}")
