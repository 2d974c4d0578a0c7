-- What a role owns here and in no database in particular, in words; what it gives on its own future objects is no object.
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS object
  FROM pg_catalog.pg_shdepend d
 WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND d.refobjid = %(role)s::oid
   AND d.deptype = 'o'
   AND d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass
   AND d.dbid IN (0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()))
 ORDER BY object
