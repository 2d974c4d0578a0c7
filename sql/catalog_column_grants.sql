-- What readers were granted on columns, one by one. A REVOKE of the whole relation takes these away as well.
SELECT c.relnamespace::bigint AS schema,
       c.relowner::bigint AS owner,
       c.relname::text AS relation,
       c.relkind::text AS kind,
       pg_catalog.array_agg(t.attname::text ORDER BY t.attnum, a.grantee, a.grantor, a.privilege_type) AS columns,
       pg_catalog.array_agg(pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
                            ORDER BY t.attnum, a.grantee, a.grantor, a.privilege_type) AS entries,
       ARRAY(SELECT pg_catalog.concat_ws(' ', e.grantee, e.grantor, e.is_grantable, e.privilege_type)
               FROM pg_catalog.aclexplode(c.relacl) e
              WHERE e.is_grantable) AS passing
  FROM (SELECT DISTINCT d.objid, d.objsubid
          FROM pg_catalog.pg_shdepend d
         WHERE d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
           AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.objsubid > 0
           AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
           AND d.refobjid = ANY (%(readers)s::oid[])) AS d
  JOIN pg_catalog.pg_class c ON c.oid = d.objid
  JOIN pg_catalog.pg_attribute t ON t.attrelid = d.objid AND t.attnum = d.objsubid
 CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
 WHERE (a.grantee = ANY (%(readers)s::oid[]) OR a.grantor = ANY (%(readers)s::oid[]) OR a.is_grantable)
 GROUP BY c.oid, c.relnamespace, c.relowner, c.relname, c.relkind, c.relacl
 ORDER BY c.relnamespace, c.relname
