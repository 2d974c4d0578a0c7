-- The server, who we are on it, and every database that is no template: who may connect and who may create schemas
-- (0 is PUBLIC), and its ACL. One row at least, without a database where there is none.
SELECT s.system_identifier AS system_identifier,
       s.version AS version,
       s.in_recovery AS in_recovery,
       s.patched_by_rds AS patched_by_rds,
       s.admin AS admin,
       d.oid::bigint AS oid,
       d.datname AS name,
       d.datdba::bigint AS owner,
       d.datallowconn AS allows_connections,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) a) AS entries
  FROM (SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
               pg_catalog.current_setting('server_version_num')::int AS version,
               pg_catalog.pg_is_in_recovery() AS in_recovery,
               pg_catalog.current_setting('rds.extensions', true) IS NOT NULL AS patched_by_rds,
               (SELECT r.oid::bigint FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER) AS admin) AS s
  LEFT JOIN pg_catalog.pg_database d ON NOT d.datistemplate
 ORDER BY d.datname
