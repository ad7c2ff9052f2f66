"""The database: it answers, and what it promises about them is enforced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["asked", "constraints", "database", "indexes", "sequences"]

# each answer is a line of JSON; \gexec has psql run what the question gives as SQL
_INDEXES = """
    SELECT to_json(format('%I.%I', n.nspname, c.relname)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) ORDER BY 1::text"""
_CONSTRAINTS = """
    SELECT to_json(format('%s of %s (%s)', k.conname, coalesce(NULLIF(k.conrelid, 0)::regclass::text,
                   k.contypid::regtype::text), CASE WHEN k.convalidated THEN 'not enforced: its triggers are disabled'
                   ELSE 'not validated' END))
    FROM pg_constraint k WHERE NOT k.convalidated OR EXISTS (
        SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgisinternal AND t.tgenabled <> 'O')
    ORDER BY k.conname"""
_SEQUENCES = r"""
    WITH used AS (
        SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        UNION SELECT d.refobjid, a.adrelid, a.adnum FROM pg_depend d
        JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass)
    SELECT format('SELECT json_build_object(''sequence'', %L, ''column'', %L, ''next'', CASE WHEN s.is_called'
                  ' THEN s.last_value + %s ELSE s.last_value END, ''step'', %s, ''last'', (SELECT %s(%I) FROM %s))'
                  ' FROM %s s', u.sequence::regclass, format('%s.%I', u.relation::regclass, a.attname),
                  q.seqincrement, q.seqincrement, CASE WHEN q.seqincrement > 0 THEN 'max' ELSE 'min' END,
                  a.attname, u.relation::regclass, u.sequence::regclass)
    FROM used u JOIN pg_sequence q ON q.seqrelid = u.sequence JOIN pg_class c ON c.oid = u.relation
    JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number
    WHERE NOT q.seqcycle AND c.relkind IN ('r', 'p') AND a.atttypid IN ('int2'::regtype, 'int4'::regtype,
          'int8'::regtype) ORDER BY 1 \gexec"""


def asked(deployment: Deployment, question: str) -> list[Any]:
    """The answers to a question of our own, each a line of JSON."""
    return [json.loads(line) for line in deployment.sql(question).splitlines()]


def database(deployment: Deployment) -> Seen:
    """It answers, and says at which migration it is."""
    head = deployment.migrations()[-1:]
    count = deployment.sql("SELECT count(*) FROM users")
    return True, f"migration {head[0] if head else '(none)'}, {count} users"


def indexes(deployment: Deployment) -> Seen:
    """Every index can be used; one that is just being built concurrently cannot be, and is named as well."""
    found = asked(deployment, _INDEXES)
    return not found, f"invalid: {', '.join(found)}" if found else "all valid"


def constraints(deployment: Deployment) -> Seen:
    """Every constraint holds for all rows, and will hold for the next one."""
    found = asked(deployment, _CONSTRAINTS)
    return not found, "; ".join(found) or "all validated and enforced"


def sequences(deployment: Deployment) -> Seen:
    """The next value of every sequence is one that no row has yet; one that may begin anew (CYCLE) is not asked."""
    found = asked(deployment, _SEQUENCES)
    behind = [one for one in found if one["last"] is not None and (one["next"] - one["last"]) * one["step"] <= 0]
    told = "; ".join("{sequence} gives {next} next, {column} is at {last}".format(**one) for one in behind)
    return not behind, told or f"all {len(found)} ahead of their keys"
