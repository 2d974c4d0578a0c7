-- The columns of some relations, in order.
SELECT a.attrelid::bigint AS oid, pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = ANY (%(oids)s::oid[])
   AND a.attnum > 0
   AND NOT a.attisdropped
 GROUP BY a.attrelid
 ORDER BY a.attrelid
