"""What brings one schema to another in place: statements in an order that works, and what they would do to rows.

What differs is told by pg_dump's own entries, tables aside, whose columns are compared one by one so that rows stay.
What stands on something that goes is found in the catalogues, goes before it by name, and is made anew after it: no
statement cascades. Whether it was all is not this module's to say: the fingerprint is, on a rehearsal and at the end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rollback.database.names import parts
from rollback.database.parents import keys
from rollback.database.schema import dump, inverse, objects
from rollback.database.schema.change import Change
from rollback.database.schema.objects import Address
from rollback.database.schema.sequences import Sequences
from rollback.database.schema.tables import Alteration
from rollback.outcome import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rollback.database.schema.dump import Entry
    from rollback.database.schema.sides import Side
    from rollback.database.schema.tables import Relation

__all__ = ["Comparison"]

#: What is made once the rows are there.
_AFTER_ROWS = frozenset({
    "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "TRIGGER", "RULE", "POLICY", "EVENT TRIGGER",
    "STATISTICS", "ROW SECURITY", "PUBLICATION",
})  # fmt: skip
#: What keeps its place although it differs: it is altered, or said anew.
_STAY = frozenset({"TABLE", "SEQUENCE", "SEQUENCE OWNED BY", "SCHEMA", "DEFAULT", "CHECK CONSTRAINT", *inverse.KINDS})
_TYPES = frozenset({"TYPE", "DOMAIN"})
#: What goes at the end: columns that are altered may hold on to it until then.
_LATE = frozenset({"TYPE", "DOMAIN", "SCHEMA", "EXTENSION", "SEQUENCE", "SHELL TYPE"})
#: Passwords may stand in what makes them.
_SECRET = frozenset({"SERVER", "USER MAPPING", "SUBSCRIPTION"})
_REPLACED = frozenset({"FUNCTION", "PROCEDURE"})


@dataclass(frozen=True)
class Comparison:
    """Two schemas side by side: as it is now, and as it is to be."""

    now: Side
    then: Side

    def change(self) -> Change:
        """Everything that has to be done.

        Raises:
            Refused: something differs that cannot be altered in place.
        """
        self._followed()
        change = Change(
            [*self._first(), *self._made(after_rows=False)],
            [
                *self._made(after_rows=True),
                *(one for each in self.alterations.values() for one in each.last()),
                *(one.sql for one in self.then.entries if self._rechecked(one)),
                *self._sequences.last(),
                *self._dropped_late(),
                *self._refreshed(),
            ],
        )
        self._rows(change)
        return change

    def _followed(self) -> None:
        """Say that every object can be told from every other, and that rows stay in their tables.

        Raises:
            Refused: not so.
        """
        for side in (self.now, self.then):
            keys = [one.key for one in side.entries if one.sql]
            twice = {key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else set()
            for key in twice:
                raise Refused(f"Two objects are told as {' '.join(key)}: they cannot be told apart.", _WAY)
        strange = [one for one in self._differing() if one.kind == "TABLE" and self.now.table(one) is None]
        strange += [one for one in self.then.entries if one.kind.endswith("ATTACH") and self._is_new(one)]
        secret = [one for one in [*self._differing(), *self.then.entries] if one.kind in _SECRET and self._unlike(one)]
        for one in secret:
            raise Refused(f"{one.kind} {one.name} differs: its words may hold a password, and are not shown.", _WAY)
        for one in strange:
            raise Refused(f"{one.schema}.{one.name} is partitioned and differs: it is not altered in place.", _WAY)

    # what differs

    def _differing(self) -> list[Entry]:
        """Entries that are not there then, or otherwise."""
        return [one for one in self.now.entries if (then := self.then.by_key.get(one.key)) is None or then != one]

    def _is_new(self, one: Entry) -> bool:
        return one.key not in self.now.by_key

    def _is_gone(self, one: Entry) -> bool:
        return one.key not in self.then.by_key

    @cached_property
    def _replaced(self) -> set[tuple[str, str, str]]:
        """Functions that only do something else: whoever stands on them may stay."""
        changed = [one for one in self._differing() if one.kind in _REPLACED and not self._is_gone(one)]
        return {one.key for one in changed if _face(one.sql) == _face(self.then.by_key[one.key].sql)}

    @cached_property
    def _anew(self) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
        """Types that are made anew under their name, with the columns that are of them."""
        changed = [one for one in self._differing() if one.kind in _TYPES and not self._is_gone(one)]
        return {one.key: objects.users_of(self.now.session, one.oid) for one in changed}

    @cached_property
    def _both(self) -> list[str]:
        return [name for name in self.now.tables if name in self.then.tables]

    @cached_property
    def going(self) -> set[Address]:
        """Everything that goes, and what stands on it."""
        return objects.dependents(self.now.session, [*self._seeds()])

    def _seeds(self) -> Iterator[Address]:
        for one in self._differing():
            stays = one.kind in _STAY and not (self._is_gone(one) and one.kind == "TABLE")
            if one.oid and not stays and one.key not in self._replaced and one.kind not in _LATE - _TYPES:
                yield Address(one.classid, one.oid)
        for name in self._both:
            table = self._altered(name, ())
            for column in {*table.dropped, *table.retyped}:
                yield objects.column(self.now.session, name, column)

    def _altered(self, name: str, standing: Iterable[int]) -> Alteration:
        anew = {column for users in self._anew.values() for table, column in users if table == name}
        apart = {
            column.name
            for column in self.then.tables[name].columns.values()
            if column.default_oid in self._defaults_apart
        }
        return Alteration(self.now.tables[name], self.then.tables[name], anew, apart, frozenset(standing))

    @cached_property
    def _defaults_apart(self) -> set[int]:
        return {one.oid for one in self.then.entries if one.kind == "DEFAULT"}

    @cached_property
    def alterations(self) -> dict[str, Alteration]:
        """Of every table on both sides."""
        standing = {one.oid for one in self.going}
        return {name: self._altered(name, standing) for name in self._both}

    @cached_property
    def _dropped(self) -> list[Entry]:
        """Entries that go, whether or not they come again, the last one first."""
        oids = {(one.classid, one.oid) for one in self.going if not one.sub}
        found = [one for one in self.now.entries if one.oid and (one.classid, one.oid) in oids]
        found += [one for one in self._differing() if one.kind in _LATE and self._is_gone(one) and one not in found]
        order = {one.number: n for n, one in enumerate(self.now.entries)}
        standing = [one for one in found if one.kind == "TABLE" and not self._is_gone(one)]
        for one in standing:
            raise Refused(f"The table {one.schema}.{one.name} stands on something that differs.", _WAY)
        return sorted(found, key=lambda one: -order[one.number])

    # the statements

    def _first(self) -> Iterator[str]:
        """Everything that goes, what stands on something before what it stands on."""
        numbers = {one.number for one in self._dropped}
        for one in reversed(self._differing()):
            if one.kind in inverse.KINDS and not numbers & {*one.needs}:
                yield from inverse.inverse(one)
            if one.kind == "SEQUENCE OWNED BY" and self._is_gone(one) and not numbers & {*one.needs}:
                yield f"ALTER SEQUENCE {objects.quoted(one.schema)}.{objects.quoted(one.name)} OWNED BY NONE;"
        for each in self.alterations.values():
            yield from each.unsaid()
        yield from self._drops(numbers)
        for n, key in enumerate(self._anew):
            yield f"ALTER {key[0]} {_qualified(key)} RENAME TO {_old(n)};"

    def _drops(self, numbers: set[int]) -> Iterator[str]:
        """Backwards through the dump; columns where their tables stand."""
        for one in reversed(self.now.entries):
            table = self.now.table(one)
            if one.number in numbers and one.kind not in _LATE | {"DEFAULT", "CHECK CONSTRAINT"}:
                yield objects.dropping(self.now.session, Address(one.classid, one.oid))
            elif table is not None and one.kind == "TABLE" and table.name in self.alterations:
                yield from self.alterations[table.name].drops()

    def _made(self, *, after_rows: bool) -> Iterator[str]:
        """What is not there, or not so, in the order of the dump; tables that stay are altered in their place."""
        reached, again = False, {one.key for one in self._dropped}
        made = set[int]()
        for one in self.then.entries:
            reached = reached or one.kind in _AFTER_ROWS
            mine = [*self._statements(one, again, made)]
            if mine and not self._is_altered(one):
                made.add(one.number)
            if reached is after_rows:
                yield from mine

    def _is_altered(self, one: Entry) -> bool:
        table = self.then.table(one)
        return table is not None and table.name in self.alterations

    def _statements(self, one: Entry, again: set[tuple[str, str, str]], made: set[int]) -> Iterator[str]:
        table = self.then.table(one)
        if table is not None and table.name in self.alterations:
            yield from self._of_a_table(one, self.alterations[table.name])
            return
        old = self.now.by_key.get(one.key)
        said_again = one.kind != "SEQUENCE" and bool(made & {*one.needs}) and not one.oid
        stays = old == one and one.key not in again and not said_again
        if not one.sql or stays or self._rechecked(one):
            return
        if one.kind == "SEQUENCE":
            yield from self._sequences.made(one, None if one.key in again else old)
        elif one.kind == "SCHEMA" and old is not None:
            yield from (line for line in one.sql.splitlines() if line.startswith("ALTER SCHEMA"))
        elif one.key in self._replaced and one.key not in again:
            yield one.sql.replace("CREATE ", "CREATE OR REPLACE ", 1)
        else:
            yield one.sql

    def _of_a_table(self, one: Entry, table: Alteration) -> Iterator[str]:
        if one.kind == "TABLE":
            yield from table.statements()
        elif one.kind == "DEFAULT":
            for column in table.then.columns.values():
                if column.default_oid == one.oid and table.unlike(column.name):
                    yield one.sql
                    if column.name in table.returned:
                        name = objects.quoted(column.name)
                        yield f"UPDATE {table.then.name} SET {name} = DEFAULT;"  # noqa: S608 -- names of the catalogue, quoted

    def _rechecked(self, one: Entry) -> bool:
        """Whether it is a comment on a check that is made anew: the dump does not say on what it is."""
        return one.kind == "COMMENT" and any(
            one.schema == parts(each.then.name)[0]
            and one.name.replace('"', "") == f"CONSTRAINT {check} ON {parts(each.then.name)[1]}".replace('"', "")
            for each in self.alterations.values()
            for check in each.rechecked
        )

    @cached_property
    def _sequences(self) -> Sequences:
        return Sequences(self.now.session, self.then.session)

    def _dropped_late(self) -> Iterator[str]:
        for n, key in enumerate(self._anew):
            yield f"DROP {key[0]} {objects.quoted(key[1])}.{_old(n)};"
        for one in self._dropped:
            if one.kind in _LATE and self._is_gone(one):
                yield objects.dropping(self.now.session, Address(one.classid, one.oid))

    def _refreshed(self) -> Iterator[str]:
        again = {one.key for one in self._dropped}
        for one in self.then.entries:
            if one.kind == "MATERIALIZED VIEW" and (one.key in again or self._is_new(one)):
                yield f"{dump.refreshed(self.then.session, one).decode()};"

    # what becomes of rows

    def _rows(self, change: Change) -> None:
        change.lost_tables.extend(name for name in self.now.tables if name not in self.then.tables)
        change.new_tables.extend(name for name in self.then.tables if name not in self.now.tables)
        change.references.extend(map(asdict, keys(self.then.session, change.new_tables)))
        aside = objects.tables_of(self.now.session, self.going) | objects.tables_of(
            self.then.session, [Address(one.classid, one.oid) for one in self.then.entries if self._unlike(one)]
        )
        for name, table in self.alterations.items():
            if table.touched or name in aside:
                self._row(change, name, table)

    def _unlike(self, one: Entry) -> bool:
        return self.now.by_key.get(one.key) != one

    def _row(self, change: Change, name: str, table: Alteration) -> None:
        now, then = table.now, table.then
        change.kept[name] = table.untouched
        change.keys[name] = list(now.key)
        if table.lost:
            change.lost_columns[name] = table.lost
        if table.returned:
            change.new_columns[name] = table.returned
        bare = [one for one in table.returned if then.columns[one].notnull and _bare(then, one)]
        if bare:
            change.undefaulted[name] = bare
        change.retyped.extend((name, one, now.columns[one].type, then.columns[one].type) for one in table.retyped)


_WAY = "`rollback database` brings schema and rows back together; a new migration can mend what differs"


def _bare(table: Relation, name: str) -> bool:
    """Whether a row that has no value for a column gets none from the table either."""
    return table.columns[name].default is None and not table.columns[name].identity


def _face(text: str) -> str:
    """A function as whoever calls it sees it: name, arguments and result."""
    return text.partition("LANGUAGE ")[0]


def _qualified(key: tuple[str, str, str]) -> str:
    return f"{objects.quoted(key[1])}.{objects.quoted(key[2])}"


def _old(number: int) -> str:
    return f"rollback_old_type_{number}"
