-- Partitions and other children of tables, those of one parent in one schema in one row. `only`: of none but these, the
-- children.
SELECT pn.nspname AS schema,
       p.relname AS parent,
       cn.nspname AS child_schema,
       pg_catalog.array_agg(c.relname::text ORDER BY c.relname) AS children
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE p.relkind IN ('r', 'p', 'f')
   AND c.relpersistence <> 't'
   AND (%(only)s::oid[] IS NULL OR c.oid = ANY (%(only)s::oid[]))
 GROUP BY pn.nspname, p.relname, cn.nspname
 ORDER BY pn.nspname, p.relname, cn.nspname
