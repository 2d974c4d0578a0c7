-- The names of the schemas of this database, system schemas left out.
SELECT n.nspname AS name
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY n.nspname
