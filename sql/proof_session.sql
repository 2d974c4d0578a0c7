-- Where a session of a login user is, and how it got there; version and cipher are NULL without TLS.
SELECT pg_catalog.pg_is_in_recovery() AS in_recovery,
       (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
       t.version AS tls_version,
       t.cipher AS tls_cipher
  FROM (SELECT pg_catalog.pg_backend_pid() AS pid) AS me
  LEFT JOIN pg_catalog.pg_stat_ssl t ON t.pid = me.pid
