-- What some roles still do on this server, and whether they could come back. A role that is dropped is still known by
-- its oid to the sessions that it has.
SELECT d.oid::bigint AS role,
       r.rolcanlogin IS TRUE AS may_log_in,
       ARRAY(SELECT a.pid
               FROM pg_catalog.pg_stat_activity a
              WHERE a.usesysid = d.oid
                AND a.backend_type IS DISTINCT FROM 'parallel worker'
              ORDER BY a.pid) AS sessions
  FROM pg_catalog.unnest(%(roles)s::oid[]) WITH ORDINALITY AS d (oid, place)
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = d.oid
 ORDER BY d.place
