-- Every database that is no template, with who may connect and who may create schemas (0 is PUBLIC), and its ACL.
SELECT d.oid::bigint AS oid,
       d.datname AS name,
       d.datdba::bigint AS owner,
       d.datallowconn AS allows_connections,
       d.datacl IS NULL AS default_acl,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a) AS entries
  FROM pg_catalog.pg_database d
 WHERE NOT d.datistemplate
 ORDER BY d.datname
