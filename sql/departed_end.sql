-- End one session, if it is still that of the role. No row: it has ended by itself.
SELECT pg_catalog.pg_terminate_backend(a.pid) AS ended
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid = %(session)s
   AND a.usesysid = %(role)s::oid
