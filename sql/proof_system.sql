-- Which system a login user has reached; by itself, because not every server lets everybody ask.
SELECT (pg_catalog.pg_control_system()).system_identifier::text AS system_identifier
