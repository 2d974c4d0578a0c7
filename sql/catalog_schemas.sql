-- Every schema but those of sessions and of TOAST, with who may use it and who may create in it (0 is PUBLIC), and all
-- that readers hold on it.
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
              WHERE a.grantee = ANY (%(readers)s::oid[]) OR a.grantor = ANY (%(readers)s::oid[]) OR a.is_grantable) AS entries
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname NOT LIKE 'pg\_t%%'
 ORDER BY n.nspname
