-- How many objects one transaction may lock and leave others half of the room that there is for locks.
SELECT pg_catalog.current_setting('max_locks_per_transaction')::int
       * pg_catalog.current_setting('max_connections')::int / 2 AS room
