-- Every schema that is no system schema, with who may use it and who may create in it (0 is PUBLIC).
SELECT n.oid::bigint AS oid,
       n.nspname AS name,
       n.nspowner::bigint AS owner,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
              WHERE a.privilege_type = 'USAGE') AS usage,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
              WHERE a.privilege_type = 'CREATE') AS create
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY n.nspname
