"""The questions to PostgreSQL's catalogues behind a schema's logical fingerprint: each gives (name, definition).

Names are qualified and sorted; object IDs and the physical order of columns do not count. What an extension owns is
the extension's. `{own}` stands for the schemas that count.
"""

from __future__ import annotations

__all__ = ["QUESTIONS"]

_OWN = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL(%(without)s)"


def _free(catalogue: str, oid: str) -> str:
    """Whether no extension owns the object."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'e' AND d.classid = '{catalogue}'::regclass"
        f" AND d.objid = {oid})"
    )


def _acl(column: str, kind: str, owner: str) -> str:
    """Grants, with the default spelled out, in an order that does not depend on how they came about."""
    return (
        f"(SELECT string_agg(one::text, ',' ORDER BY one::text)"
        f" FROM unnest(coalesce({column}, acldefault('{kind}', {owner}))) one)"
    )


_RELATION = "format('%%I.%%I', n.nspname, c.relname)"

QUESTIONS: dict[str, str] = {
    "schema": f"""
        SELECT format('%%I', n.nspname), concat_ws(' ', 'owner', pg_get_userbyid(n.nspowner), 'grants',
               {_acl("n.nspacl", "n", "n.nspowner")})
        FROM pg_namespace n WHERE {_OWN} AND {_free("pg_namespace", "n.oid")}""",
    "relation": f"""
        SELECT {_RELATION}, concat_ws(' ',
               CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                    WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END,
               CASE c.relpersistence WHEN 'u' THEN 'unlogged' END, 'owner', pg_get_userbyid(c.relowner),
               'partition by ' || pg_get_partkeydef(c.oid), 'partition ' || pg_get_expr(c.relpartbound, c.oid),
               'inherits ' || (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
                               FROM pg_inherits i WHERE i.inhrelid = c.oid),
               CASE WHEN c.relrowsecurity THEN 'row security' END,
               CASE WHEN c.relforcerowsecurity THEN 'forced' END,
               'options ' || array_to_string(c.reloptions, ','),
               'toast options ' || (SELECT array_to_string(o.reloptions, ',') FROM pg_class o
                                    WHERE o.oid = c.reltoastrelid),
               CASE WHEN NOT c.relispopulated THEN 'not populated' END,
               'foreign ' || (SELECT concat_ws(' ', s.srvname, md5(f.ftoptions::text)) FROM pg_foreign_table f
                              JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
               'using ' || (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
               CASE WHEN c.relreplident <> 'd' THEN 'replica identity ' || c.relreplident::text END,
               'grants', {_acl("c.relacl", "r", "c.relowner")},
               CASE WHEN c.relkind IN ('v', 'm') THEN 'as ' || pg_get_viewdef(c.oid) END)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OWN} AND {_free("pg_class", "c.oid")}""",
    "column": f"""
        SELECT {_RELATION} || format('.%%I', a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attnotnull THEN 'not null' END,
               CASE WHEN a.attgenerated <> '' THEN 'generated' ELSE 'default' END
                   || ' ' || pg_get_expr(d.adbin, d.adrelid),
               CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
               CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation END,
               CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END,
               CASE WHEN a.attcompression <> '' THEN 'compression ' || a.attcompression::text END,
               'options ' || (SELECT string_agg(one, ',' ORDER BY one) FROM unnest(a.attoptions) one
                              WHERE one !~ '^pg_'),
               CASE WHEN a.attstattarget >= 0 THEN 'statistics ' || a.attstattarget END,
               'grants ' || (SELECT string_agg(one::text, ',' ORDER BY one::text) FROM unnest(a.attacl) one))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
        AND {_OWN} AND {_free("pg_class", "c.oid")}""",
    "constraint": f"""
        SELECT format('%%I', n.nspname) || coalesce('.' || quote_ident(coalesce(c.relname, t.typname)), '')
               || format('.%%I', k.conname),
               concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'not validated' END,
               CASE WHEN k.contypid <> 0 THEN 'on domain ' || k.contypid::regtype END)
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_class c ON c.oid = k.conrelid
        LEFT JOIN pg_type t ON t.oid = k.contypid
        WHERE k.contype <> 't' AND {_OWN} AND (c.oid IS NULL OR {_free("pg_class", "c.oid")})""",
    "index": f"""
        SELECT format('%%I.%%I.%%I', n.nspname, o.relname, c.relname), concat_ws(' ', pg_get_indexdef(i.indexrelid),
               CASE WHEN NOT i.indisvalid THEN 'invalid' END,
               CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'identity' END)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class o ON o.oid = i.indrelid
        WHERE {_OWN} AND {_free("pg_class", "i.indrelid")}""",
    "sequence": f"""
        SELECT {_RELATION}, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
               s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END, 'owner', pg_get_userbyid(c.relowner),
               'grants', {_acl("c.relacl", "s", "c.relowner")},
               'owned by ' || (SELECT format('%%s.%%I', a.attrelid::regclass, a.attname) FROM pg_depend d
                               JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid)
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass))
        FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OWN} AND {_free("pg_class", "c.oid")}""",
    "trigger": f"""
        SELECT {_RELATION} || format('.%%I', t.tgname), pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND {_OWN} AND {_free("pg_trigger", "t.oid")}""",
    "enforcement": f"""
        SELECT {_RELATION} || format('.%%I', k.conname), 'not as made: ' || string_agg(
               DISTINCT format('%%s %%s', t.tgrelid::regclass, t.tgenabled), ',')
        FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.tgisinternal AND t.tgenabled <> 'O' AND {_OWN} AND {_free("pg_class", "c.oid")} GROUP BY 1""",
    "event trigger": f"""
        SELECT format('%%I', e.evtname), concat_ws(' ', e.evtevent, e.evtfoid::regprocedure, e.evtenabled,
               array_to_string(e.evttags, ','), 'owner', pg_get_userbyid(e.evtowner))
        FROM pg_event_trigger e WHERE {_free("pg_event_trigger", "e.oid")}""",
    "rule": f"""
        SELECT {_RELATION} || format('.%%I', r.rulename), pg_get_ruledef(r.oid) || ' enabled ' || r.ev_enabled::text
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.rulename <> '_RETURN' AND {_OWN} AND {_free("pg_class", "c.oid")}""",
    "policy": f"""
        SELECT {_RELATION} || format('.%%I', p.polname), concat_ws(' ', p.polcmd, p.polpermissive,
               (SELECT string_agg(CASE one WHEN 0 THEN 'public' ELSE pg_get_userbyid(one) END, ',' ORDER BY one)
                FROM unnest(p.polroles) one), 'using ' || pg_get_expr(p.polqual, p.polrelid),
               'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OWN}""",
    "function": f"""
        SELECT format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
               concat_ws(' ', CASE WHEN p.prokind = 'a' THEN 'aggregate of ' || (SELECT concat_ws(' ', g.aggtransfn,
               g.aggfinalfn, g.aggtranstype::regtype, g.agginitval) FROM pg_aggregate g WHERE g.aggfnoid = p.oid)
               ELSE pg_get_functiondef(p.oid) END, 'owner', pg_get_userbyid(p.proowner),
               'grants', {_acl("p.proacl", "f", "p.proowner")})
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OWN} AND {_free("pg_proc", "p.oid")}""",
    "type": f"""
        SELECT format('%%I.%%I', n.nspname, t.typname), concat_ws(' ', t.typtype,
               (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                FROM pg_enum e WHERE e.enumtypid = t.oid),
               CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
               CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
               (SELECT string_agg(format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ','
                ORDER BY a.attnum) FROM pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND NOT a.attisdropped),
               (SELECT 'range of ' || r.rngsubtype::regtype FROM pg_range r WHERE r.rngtypid = t.oid),
               'owner', pg_get_userbyid(t.typowner), 'grants', {_acl("t.typacl", "T", "t.typowner")})
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typtype IN ('e', 'd', 'c', 'r') AND (c.oid IS NULL OR c.relkind = 'c')
        AND {_OWN} AND {_free("pg_type", "t.oid")}""",
    "extension": """
        SELECT format('%%I', e.extname), concat_ws(' ', e.extversion, 'in', e.extnamespace::regnamespace)
        FROM pg_extension e""",
    "statistics": f"""
        SELECT format('%%I.%%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid)
        FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {_OWN}""",
    "default grants": """
        SELECT concat_ws(' ', pg_get_userbyid(d.defaclrole), d.defaclobjtype,
               NULLIF(d.defaclnamespace, 0)::regnamespace),
               (SELECT string_agg(one::text, ',' ORDER BY one::text) FROM unnest(d.defaclacl) one)
        FROM pg_default_acl d""",
    "operator": f"""
        SELECT o.oid::regoperator::text, concat_ws(' ', o.oprcode, o.oprresult::regtype)
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE {_OWN} AND {_free("pg_operator", "o.oid")}""",
    "collation": f"""
        SELECT format('%%I.%%I', n.nspname, c.collname), concat_ws(' ', c.collprovider,
               c.collcollate, to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale', c.collisdeterministic)
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE {_OWN} AND {_free("pg_collation", "c.oid")}""",
    "cast": f"""
        SELECT format('%%s as %%s', c.castsource::regtype, c.casttarget::regtype),
               concat_ws(' ', c.castcontext, c.castmethod, NULLIF(c.castfunc, 0)::regprocedure)
        FROM pg_cast c WHERE c.oid >= 16384 AND {_free("pg_cast", "c.oid")}""",
    "publication": """
        SELECT format('%%I', p.pubname), concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
               p.pubtruncate, (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text)
                               FROM pg_publication_rel r WHERE r.prpubid = p.oid))
        FROM pg_publication p""",
    "text search": f"""
        SELECT format('%%I.%%I', n.nspname, c.cfgname), concat_ws(' ', (SELECT string_agg(concat_ws(' ',
               m.maptokentype, m.mapdict::regdictionary), ',' ORDER BY m.maptokentype, m.mapseqno)
               FROM pg_ts_config_map m WHERE m.mapcfg = c.oid), 'owner', pg_get_userbyid(c.cfgowner))
        FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
        WHERE {_OWN} AND {_free("pg_ts_config", "c.oid")}""",
    "dictionary": f"""
        SELECT format('%%I.%%I', n.nspname, t.dictname), concat_ws(' ', t.dictinitoption, 'owner',
               pg_get_userbyid(t.dictowner))
        FROM pg_ts_dict t JOIN pg_namespace n ON n.oid = t.dictnamespace WHERE {_OWN} AND {_free("pg_ts_dict", "t.oid")}
        """,
    "operator class": f"""
        SELECT format('%%I.%%I of %%s', n.nspname, o.opcname, m.amname), concat_ws(' ', o.opcintype::regtype,
               CASE WHEN o.opcdefault THEN 'default' END, (SELECT string_agg(concat_ws(' ', p.amopstrategy,
               p.amopopr::regoperator), ',' ORDER BY p.amopstrategy, p.amopopr::regoperator::text)
               FROM pg_amop p WHERE p.amopfamily = o.opcfamily), 'owner', pg_get_userbyid(o.opcowner))
        FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
        WHERE {_OWN} AND {_free("pg_opclass", "o.oid")}""",
    "language": f"""
        SELECT format('%%I', l.lanname), concat_ws(' ', CASE WHEN l.lanpltrusted THEN 'trusted' END,
               l.lanplcallfoid::regprocedure, 'owner', pg_get_userbyid(l.lanowner), 'grants',
               {_acl("l.lanacl", "l", "l.lanowner")})
        FROM pg_language l WHERE l.lanispl AND {_free("pg_language", "l.oid")}""",
    "access method": f"""
        SELECT format('%%I', m.amname), concat_ws(' ', m.amtype, m.amhandler)
        FROM pg_am m WHERE m.oid >= 16384 AND {_free("pg_am", "m.oid")}""",
    "foreign data wrapper": f"""
        SELECT format('%%I', f.fdwname), concat_ws(' ', NULLIF(f.fdwhandler, 0)::regproc, md5(f.fdwoptions::text),
               'owner', pg_get_userbyid(f.fdwowner), 'grants', {_acl("f.fdwacl", "F", "f.fdwowner")})
        FROM pg_foreign_data_wrapper f WHERE {_free("pg_foreign_data_wrapper", "f.oid")}""",
    # options are hashed, not shown: passwords stand in them
    "foreign server": f"""
        SELECT format('%%I', s.srvname), concat_ws(' ', s.srvtype, s.srvversion, md5(s.srvoptions::text),
               'owner', pg_get_userbyid(s.srvowner), 'grants', {_acl("s.srvacl", "S", "s.srvowner")})
        FROM pg_foreign_server s""",
    "user mapping": """
        SELECT format('%%I of %%I', u.usename, u.srvname), md5(u.umoptions::text) FROM pg_user_mappings u""",
    "comment": """
        SELECT o.type || ' ' || coalesce(i.indrelid::regclass::text || '.' || o.name, o.identity), d.description
        FROM pg_description d LEFT JOIN pg_index i ON i.indexrelid = d.objoid AND d.classoid = 'pg_class'::regclass,
        pg_identify_object(d.classoid, d.objoid, d.objsubid) o
        WHERE (d.objoid >= 16384 OR (o.type = 'schema' AND o.identity = 'public'
                                     AND d.description <> 'standard public schema'))
        AND coalesce(o.schema, '') !~ '^pg_'
        AND coalesce(o.schema, '') <> ALL(%(without)s)
        AND NOT (o.type = 'schema' AND o.identity = ANY(%(without)s))
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = d.classoid
                        AND e.objid = d.objoid)""",
}
