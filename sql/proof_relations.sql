-- A page of what can be read, system schemas left out, in the order of oids: the next page begins after the last one.
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid > %(after)s::pg_catalog.oid
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY c.oid
 LIMIT %(page)s
