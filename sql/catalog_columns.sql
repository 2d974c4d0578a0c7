-- For readers and schemas in which the spec excludes columns: the columns of each relation, and which can be read.
SELECT asked.reader::bigint AS reader,
       c.relnamespace::bigint AS schema,
       c.relowner::bigint AS owner,
       c.relname::text AS name,
       c.relkind::text AS kind,
       pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       pg_catalog.array_agg(
         pg_catalog.has_column_privilege(asked.reader, c.oid, a.attnum, 'SELECT') ORDER BY a.attnum) AS readable
  FROM ROWS FROM (pg_catalog.unnest(%(readers)s::oid[]), pg_catalog.unnest(%(schemas)s::oid[])) AS asked (reader, schema)
  JOIN pg_catalog.pg_class c ON c.relnamespace = asked.schema
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND a.attnum > 0
   AND NOT a.attisdropped
   AND (%(relations)s::text[] IS NULL OR c.relname = ANY (%(relations)s::text[]))
 GROUP BY asked.reader, c.oid, c.relnamespace, c.relowner, c.relname, c.relkind
 ORDER BY asked.reader, c.relnamespace, c.relname
