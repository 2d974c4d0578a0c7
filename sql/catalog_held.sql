-- What readers hold privileges on beside databases, schemas, relations and columns, either in this
-- database or in none.
SELECT o.kind AS kind,
       o.schema::bigint AS schema,
       o.owner::bigint AS owner,
       o.name AS name,
       o.identity AS identity,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(o.acl) a
              WHERE a.grantee = ANY (%(readers)s::oid[])
                 OR a.grantor = ANY (%(readers)s::oid[]) OR a.is_grantable) AS entries
  FROM (SELECT DISTINCT d.classid, d.objid
          FROM pg_catalog.pg_shdepend d
         WHERE d.dbid = CASE WHEN %(shared)s THEN 0
                             ELSE (SELECT b.oid FROM pg_catalog.pg_database b
                                    WHERE b.datname = pg_catalog.current_database()) END
           AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
           AND d.refobjid = ANY (%(readers)s::oid[])
           AND d.deptype = 'a'
           AND d.objsubid = 0) AS d
 CROSS JOIN LATERAL (
       SELECT 'ROUTINE', p.pronamespace, p.proowner, p.proname::text, p.oid::pg_catalog.regprocedure::text, p.proacl
         FROM pg_catalog.pg_proc p
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
        UNION ALL
       SELECT 'TYPE', t.typnamespace, t.typowner, t.typname::text, t.oid::pg_catalog.regtype::text, t.typacl
         FROM pg_catalog.pg_type t
        WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
        UNION ALL
       SELECT 'LANGUAGE', 0::oid, l.lanowner, l.lanname::text, pg_catalog.quote_ident(l.lanname), l.lanacl
         FROM pg_catalog.pg_language l
        WHERE d.classid = 'pg_catalog.pg_language'::pg_catalog.regclass AND l.oid = d.objid
        UNION ALL
       SELECT 'FOREIGN DATA WRAPPER', 0::oid, f.fdwowner, f.fdwname::text, pg_catalog.quote_ident(f.fdwname), f.fdwacl
         FROM pg_catalog.pg_foreign_data_wrapper f
        WHERE d.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND f.oid = d.objid
        UNION ALL
       SELECT 'FOREIGN SERVER', 0::oid, s.srvowner, s.srvname::text, pg_catalog.quote_ident(s.srvname), s.srvacl
         FROM pg_catalog.pg_foreign_server s
        WHERE d.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass AND s.oid = d.objid
        UNION ALL
       SELECT 'LARGE OBJECT', 0::oid, m.lomowner, m.oid::text, m.oid::text, m.lomacl
         FROM pg_catalog.pg_largeobject_metadata m
        WHERE d.classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass AND m.oid = d.objid
        UNION ALL
       SELECT 'TABLESPACE', 0::oid, t.spcowner, t.spcname::text, pg_catalog.quote_ident(t.spcname), t.spcacl
         FROM pg_catalog.pg_tablespace t
        WHERE d.classid = 'pg_catalog.pg_tablespace'::pg_catalog.regclass AND t.oid = d.objid
       ) AS o (kind, schema, owner, name, identity, acl)
 ORDER BY o.kind, o.identity
