-- How far the replica has come. A server that is not in recovery has no replay to ask about; timeline is NULL where there
-- is no WAL receiver or the asker may not look at it (pg_read_all_stats). What was on disk last, everybody may ask for.
SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::bigint AS replayed,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), '0/0')::bigint AS received,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8 * 1000
         AS lag_ms,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS paused,
       pg_catalog.current_setting('recovery_min_apply_delay') AS apply_delay,
       pg_catalog.current_setting('max_standby_streaming_delay') AS conflict_delay,
       EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver w) AS streaming,
       (SELECT pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(w.received_tli)), 8, '0')
          FROM pg_catalog.pg_stat_wal_receiver w) AS timeline,
       (SELECT pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(r.min_recovery_end_timeline)), 8, '0')
          FROM pg_catalog.pg_control_recovery() r) AS timeline_on_disk
