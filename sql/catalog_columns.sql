-- For schemas in which the spec excludes columns: of each relation, who may read it and each of its columns (0 is PUBLIC).
SELECT c.relnamespace::bigint AS schema,
       c.relowner::bigint AS owner,
       c.relname::text AS name,
       c.relkind::text AS kind,
       ARRAY(SELECT e.grantee::bigint
               FROM pg_catalog.aclexplode(COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))) e
              WHERE e.privilege_type = 'SELECT') AS readable_by,
       pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       pg_catalog.array_agg(
         COALESCE((SELECT pg_catalog.string_agg(e.grantee::text, ' ')
                     FROM pg_catalog.aclexplode(a.attacl) e
                    WHERE e.privilege_type = 'SELECT'), '') ORDER BY a.attnum) AS column_readable_by
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = ANY (%(schemas)s::oid[])
   AND c.relname LIKE ANY (%(patterns)s::text[])
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND a.attnum > 0
   AND NOT a.attisdropped
 GROUP BY c.oid, c.relnamespace, c.relowner, c.relname, c.relkind, c.relacl
 ORDER BY c.relnamespace, c.relname
