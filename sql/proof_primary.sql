-- Where the primary's log ends, and how long a commit may stay unflushed. Nothing is written, no segment is switched.
SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       log.inserted::text AS lsn,
       pg_catalog.pg_wal_lsn_diff(log.inserted, '0/0')::bigint AS inserted,
       pg_catalog.pg_wal_lsn_diff(log.flushed, '0/0')::bigint AS flushed,
       pg_catalog.current_setting('wal_block_size')::int AS block_size,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::int AS segment_size,
       EXTRACT(EPOCH FROM pg_catalog.current_setting('wal_writer_delay')::pg_catalog.interval)::float8 AS writer_delay_s,
       pg_catalog.substr(pg_catalog.pg_walfile_name(log.flushed), 1, 8) AS timeline
  FROM (SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END AS inserted,
               CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END AS flushed
       ) AS log
