-- The server itself, and who we are on it.
SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
       pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_setting('rds.extensions', true) IS NOT NULL AS patched_by_rds,
       (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER) AS admin
