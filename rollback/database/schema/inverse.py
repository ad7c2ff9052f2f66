"""What takes a statement of pg_dump about an object back: a comment, grants, row security."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pglast import ast, parse_sql
from pglast.enums import AlterTableType
from pglast.stream import RawStream

if TYPE_CHECKING:
    from rollback.database.schema.dump import Entry

__all__ = ["KINDS", "inverse"]

#: What is said of an object that stays.
KINDS = ("COMMENT", "ACL", "DEFAULT ACL", "ROW SECURITY")
_TABLE = {
    AlterTableType.AT_EnableRowSecurity: AlterTableType.AT_DisableRowSecurity,
    AlterTableType.AT_DisableRowSecurity: AlterTableType.AT_EnableRowSecurity,
}


def inverse(one: Entry) -> list[str]:
    """The statements after which it is as if the entry had not been said, the last one first."""
    return [f"{RawStream()(_turned(raw.stmt))};" for raw in reversed(parse_sql(one.sql))]


def _turned(node: Any) -> Any:
    if isinstance(node, ast.CommentStmt):
        node.comment = None
    elif isinstance(node, ast.GrantStmt):
        node.is_grant = not node.is_grant
        node.grant_option = False
    elif isinstance(node, ast.AlterDefaultPrivilegesStmt):
        node.action = _turned(node.action)
    elif isinstance(node, ast.AlterTableStmt):
        commands: Any = node.cmds
        for command in commands:
            command.subtype = _TABLE.get(command.subtype, command.subtype)
    return node
