"""One of two schemas that are compared: pg_dump's entries, and its tables column by column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rollback.database.schema.tables import Relation, relations

if TYPE_CHECKING:
    from rollback.database.schema.dump import Entry
    from rollback.database.server import Connection

__all__ = ["Side"]


@dataclass(frozen=True)
class Side:
    """One of the two schemas, in a database of a scratch server.

    Attributes:
        session: on it, pinned.
        entries: pg_dump's.
    """

    session: Connection
    entries: list[Entry]

    @cached_property
    def tables(self) -> dict[str, Relation]:
        """By quoted name."""
        return relations(self.session)

    @cached_property
    def by_key(self) -> dict[tuple[str, str, str], Entry]:
        """The entries by what makes them the same object."""
        return {one.key: one for one in self.entries}

    def table(self, one: Entry) -> Relation | None:
        """The table that an entry makes, or whose default or check it is."""
        return self._owners.get((one.kind, one.oid))

    @cached_property
    def _owners(self) -> dict[tuple[str, int], Relation]:
        found = {("TABLE", table.oid): table for table in self.tables.values()}
        for table in self.tables.values():
            found |= {("DEFAULT", one.default_oid): table for one in table.columns.values() if one.default_oid}
            found |= {("CHECK CONSTRAINT", one.oid): table for one in table.checks.values()}
        return found
