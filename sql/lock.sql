-- Ours alone in this database, for as long as the session lasts. True when we have it.
SELECT pg_catalog.pg_try_advisory_lock(%(family)s, %(number)s) AS locked
