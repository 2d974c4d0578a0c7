-- What the user we are may read in this database, system schemas and what extensions brought left out: how much, and some.
SELECT pg_catalog.count(*) AS count,
       (pg_catalog.array_agg(ARRAY[n.nspname::text, c.relname::text] ORDER BY n.nspname, c.relname))[1:3][1:2] AS some
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND CASE c.relkind
         WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
         ELSE pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
       END
   AND NOT EXISTS (SELECT
                     FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid
                      AND d.deptype = 'e')
