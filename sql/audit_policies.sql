-- Policies of row-level security. Role 0 is PUBLIC. `only`: of none but these relations.
SELECT n.nspname AS schema,
       c.relname AS relation,
       p.polname AS name,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                     ELSE 'ALL' END AS command,
       p.polpermissive AS permissive,
       p.polroles::bigint[] AS roles
  FROM pg_catalog.pg_policy p
  JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE %(only)s::oid[] IS NULL OR p.polrelid = ANY (%(only)s::oid[])
 ORDER BY n.nspname, c.relname, p.polname
