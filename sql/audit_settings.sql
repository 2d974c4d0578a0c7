-- What a session without settings of its own has of the parameters that the audit judges.
SELECT s.name AS name,
       s.reset_val AS value
  FROM pg_catalog.pg_settings s
 WHERE s.name IN ('hba_file', 'log_connections', 'password_encryption', 'rds.force_ssl', 'ssl', 'statement_timeout')
 ORDER BY s.name
