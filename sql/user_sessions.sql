-- How many sessions each role has on this server, ours left out; everybody may see whose a session is.
SELECT a.usesysid::bigint AS role,
       pg_catalog.count(*) AS sessions
  FROM pg_catalog.pg_stat_activity a
 WHERE a.usesysid IS NOT NULL
   AND a.pid <> pg_catalog.pg_backend_pid()
   AND a.backend_type IS DISTINCT FROM 'parallel worker'
 GROUP BY a.usesysid
 ORDER BY a.usesysid
