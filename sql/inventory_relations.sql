-- The oids of all that can be read in some schemas, in order.
SELECT COALESCE(pg_catalog.array_agg(c.oid::bigint ORDER BY c.oid), '{}') AS relations
  FROM pg_catalog.pg_class c
 WHERE c.relnamespace = ANY (%(schemas)s::pg_catalog.oid[])
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
