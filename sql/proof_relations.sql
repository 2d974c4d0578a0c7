-- A page of what can be read, system schemas left out, in the order of oids: the next page begins after the last one.
-- Of tables with row-level security, too, which rows the user we are may see: without a policy for it, none.
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       CASE
         WHEN NOT c.relrowsecurity OR NOT pg_catalog.row_security_active(c.oid) THEN 'all'
         WHEN EXISTS (SELECT
                        FROM pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) r
                       WHERE p.polrelid = c.oid
                         AND p.polpermissive
                         AND p.polcmd IN ('r', '*')
                         AND CASE r WHEN 0 THEN true ELSE pg_catalog.pg_has_role(r, 'USAGE') END) THEN 'some'
         ELSE 'none'
       END AS rows
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid > %(after)s::pg_catalog.oid
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY c.oid
 LIMIT %(page)s
