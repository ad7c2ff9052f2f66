"""Qualified names as the catalogues quote them, and back."""

from __future__ import annotations

import re

from psycopg import sql

__all__ = ["parts", "relation"]

_PART = re.compile(r'"(?:[^"]|"")*"|[^.]+')


def parts(name: str) -> tuple[str, ...]:
    """The plain words of a qualified name, quoted where it has to be: public."a.b" -> ("public", "a.b")."""
    return tuple(one[1:-1].replace('""', '"') if one.startswith('"') else one for one in _PART.findall(name))


def relation(name: str) -> sql.Identifier:
    """A table in a statement."""
    return sql.Identifier(*parts(name))
