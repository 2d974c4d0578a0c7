-- The columns that readers were granted one by one, by owners. A REVOKE of the whole relation takes these away as well.
SELECT d.refobjid::bigint AS reader,
       c.relnamespace::bigint AS schema,
       c.relname::text AS relation,
       pg_catalog.array_agg(t.attname::text ORDER BY t.attnum) AS columns,
       pg_catalog.array_agg(a.is_grantable ORDER BY t.attnum) AS grantable
  FROM pg_catalog.pg_shdepend d
  JOIN pg_catalog.pg_class c ON c.oid = d.objid
  JOIN pg_catalog.pg_attribute t ON t.attrelid = d.objid AND t.attnum = d.objsubid
 CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
 WHERE d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.objsubid > 0
   AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND d.refobjid = ANY (%(readers)s::oid[])
   AND (%(relations)s::text[] IS NULL OR c.relname = ANY (%(relations)s::text[]))
   AND a.grantee = d.refobjid
   AND a.grantor = c.relowner
   AND a.privilege_type = 'SELECT'
 GROUP BY d.refobjid, c.oid, c.relnamespace, c.relname
 ORDER BY d.refobjid, c.relnamespace, c.relname
