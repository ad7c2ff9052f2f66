"""The database: it answers, its rows are plausible, and what it promises about them is enforced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollback.database.backup.manifest import Manifest
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["constraints", "database", "implausible", "indexes", "rows", "sequences"]

#: Fewer rows than these come and go: nothing follows from their share.
FEW = 10

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
_ROWS = r"""
    SELECT format('SELECT json_build_array(%L, count(*)) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname,
                  c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')
    AND c.relpersistence <> 't' AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1 \gexec"""


def _asked(deployment: Deployment, question: str) -> list[Any]:
    return [json.loads(line) for line in deployment.sql(question).splitlines()]


def database(deployment: Deployment) -> Seen:
    """It answers, and says at which migration it is."""
    head = deployment.migrations()[-1:]
    count = deployment.sql("SELECT count(*) FROM users")
    return True, f"migration {head[0] if head else '(none)'}, {count} users"


def indexes(deployment: Deployment) -> Seen:
    """Every index can be used; one that is just being built concurrently cannot be, and is named as well."""
    found = _asked(deployment, _INDEXES)
    return not found, f"invalid: {', '.join(found)}" if found else "all valid"


def constraints(deployment: Deployment) -> Seen:
    """Every constraint holds for all rows, and will hold for the next one."""
    found = _asked(deployment, _CONSTRAINTS)
    return not found, "; ".join(found) or "all validated and enforced"


def sequences(deployment: Deployment) -> Seen:
    """The next value of every sequence is one that no row has yet; one that may begin anew (CYCLE) is not asked."""
    found = _asked(deployment, _SEQUENCES)
    behind = [one for one in found if one["last"] is not None and (one["next"] - one["last"]) * one["step"] <= 0]
    told = "; ".join("{sequence} gives {next} next, {column} is at {last}".format(**one) for one in behind)
    return not behind, told or f"all {len(found)} ahead of their keys"


def rows(deployment: Deployment) -> Seen:
    """No table of the last backup is missing, empty, or has lost more than [verify] rows_lost_percent of its rows.

    Raises:
        NotTested: there is no backup that can be believed.
    """
    before = _last_backup(deployment)
    now = {str(name): int(count) for name, count in _asked(deployment, _ROWS)}
    then = {name: one.count for name, one in before.state.tables.items() if not name.startswith("pg_")}
    wrong = implausible(then, now, deployment.settings.verify.rows_lost_percent)
    total = f"{sum(now.values())} rows, {sum(then.values())} in backup {before.id}"
    return not wrong, f"{'; '.join(wrong)} ({total})" if wrong else total


def implausible(before: Mapping[str, int], now: Mapping[str, int], percent: float) -> list[str]:
    """Tables whose count of rows nobody would believe, a sentence each; that there are more is no wonder."""
    told = []
    for name, count in before.items():
        left = now.get(name)
        if left is None:
            told.append(f"{name} is not there, it had {count} rows")
        elif count and not left:
            told.append(f"{name} is empty, it had {count} rows")
        elif count - left >= FEW and (count - left) * 100 > count * percent:
            told.append(f"{name} has {left} rows, it had {count}")
    return told


def _last_backup(deployment: Deployment) -> Manifest:
    from rollback.database.backup.desk import Desk  # noqa: PLC0415 -- a second, for those alone who ask for the rows
    from rollback.database.backup.signing import Untrue  # noqa: PLC0415

    for one in reversed(Desk.of(deployment).shelf.all()):
        try:
            return one.manifest()
        except Untrue:  # `rollback backup list` says so; an older one is something to compare with
            continue
    raise NotTested("there is no backup to compare the rows with", "`rollback backup take`")
