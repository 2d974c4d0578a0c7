-- The server and the database that we are in.
SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
       pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_setting('lo_compat_privileges')::boolean AS large_objects_open,
       d.datname AS database,
       d.datdba::bigint AS owner
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()
