-- What a login user's session runs on, and how it got there; version and cipher are NULL without TLS.
SELECT pg_catalog.pg_is_in_recovery() AS in_recovery,
       t.version AS tls_version,
       t.cipher AS tls_cipher
  FROM (SELECT pg_catalog.pg_backend_pid() AS pid) AS me
  LEFT JOIN pg_catalog.pg_stat_ssl t ON t.pid = me.pid
