-- What depends on some roles, counted: which databases and catalogs are worth a look. What is in the ACLs of relations
-- is left out for databases that are looked at anyway.
SELECT d.dbid::bigint AS database,
       (SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.oid = d.classid) AS catalog,
       d.deptype::text AS kind,
       d.refobjid::bigint AS role,
       d.objsubid > 0 AS columns,
       pg_catalog.count(*) AS count
  FROM pg_catalog.pg_shdepend d
 WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND d.refobjid = ANY (%(roles)s::oid[])
   AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.objsubid = 0
            AND d.deptype = 'a'
            AND d.dbid = ANY (%(databases)s::oid[]))
 GROUP BY d.dbid, d.classid, d.deptype, d.refobjid, d.objsubid > 0
 ORDER BY d.dbid, d.classid, d.deptype, d.refobjid
