-- The oids of all that can be read in some schemas, in order.
SELECT COALESCE(pg_catalog.array_agg(c.oid::bigint ORDER BY c.oid), '{}') AS relations
  FROM pg_catalog.unnest(%(schemas)s::pg_catalog.oid[]) AS asked (schema)
  JOIN pg_catalog.pg_class c ON c.relnamespace = asked.schema
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
