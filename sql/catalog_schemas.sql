-- Every schema but those of sessions and of TOAST, with who may use it and who may create in it (0 is PUBLIC), and all
-- that readers hold on it; with the oids of what can be read in it, where somebody asks for `stock`.
SELECT n.oid::bigint AS oid,
       n.nspname AS name,
       n.nspowner::bigint AS owner,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
              WHERE a.privilege_type = 'USAGE') AS usage,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
              WHERE a.privilege_type = 'CREATE') AS create,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(n.nspacl) a
              WHERE a.grantee = ANY (%(readers)s::oid[]) OR a.grantor = ANY (%(readers)s::oid[]) OR a.is_grantable) AS entries,
       c.relations AS relations
  FROM pg_catalog.pg_namespace n
  LEFT JOIN (SELECT c.relnamespace, pg_catalog.array_agg(c.oid::bigint) AS relations
               FROM pg_catalog.pg_class c
              WHERE %(stock)s
                AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
              GROUP BY c.relnamespace) AS c ON c.relnamespace = n.oid
 WHERE n.nspname NOT LIKE 'pg\_t%%'
 ORDER BY n.nspname
