-- The databases that the current user may connect to. Run on a replica, as a user.
SELECT d.datname::text AS name
FROM pg_catalog.pg_database d
WHERE d.datallowconn
  AND NOT d.datistemplate
  AND pg_catalog.has_database_privilege(d.oid, 'CONNECT')
ORDER BY d.datname
