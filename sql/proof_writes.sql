-- What the user we are could write with, would this server accept writes: the primary does. How much, and some of it.
WITH held (kind, names, privileges) AS (
  SELECT 'database', ARRAY[pg_catalog.current_database()::text], 'CREATE'
   WHERE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
  UNION ALL
  SELECT 'schema', ARRAY[n.nspname::text], 'CREATE'
    FROM pg_catalog.pg_namespace n
   WHERE n.nspname <> 'information_schema'
     AND n.nspname NOT LIKE 'pg\_%%'
     AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
  UNION ALL
  SELECT '', ARRAY[n.nspname::text, c.relname::text],
         pg_catalog.array_to_string(
           ARRAY(SELECT p.name
                   FROM (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p (name)
                  WHERE CASE WHEN p.name IN ('INSERT', 'UPDATE')
                          THEN pg_catalog.has_any_column_privilege(c.oid, p.name)
                          ELSE pg_catalog.has_table_privilege(c.oid, p.name)
                        END), ', ')
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
     AND n.nspname <> 'information_schema'
     AND n.nspname NOT LIKE 'pg\_%%'
     AND (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
          OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'))
  UNION ALL
  SELECT '', ARRAY[n.nspname::text, c.relname::text],
         pg_catalog.array_to_string(
           ARRAY(SELECT p.name
                   FROM (VALUES ('USAGE'), ('UPDATE')) AS p (name)
                  WHERE pg_catalog.has_sequence_privilege(c.oid, p.name)), ', ')
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname <> 'information_schema'
     AND n.nspname NOT LIKE 'pg\_%%'
     AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE, UPDATE') END
)
SELECT h.kind AS kind,
       h.names AS names,
       h.privileges AS privileges,
       pg_catalog.count(*) OVER () AS count
  FROM held h
 ORDER BY h.kind DESC, h.names
 LIMIT %(most)s
