-- Every database that is no template, with who may connect and who may create schemas (0 is PUBLIC).
SELECT d.oid::bigint AS oid,
       d.datname AS name,
       d.datdba::bigint AS owner,
       d.datallowconn AS allows_connections,
       d.datacl IS NULL AS default_acl,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
              WHERE a.privilege_type = 'CONNECT') AS connect,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
              WHERE a.privilege_type = 'CREATE') AS create
  FROM pg_catalog.pg_database d
 WHERE NOT d.datistemplate
 ORDER BY d.datname
