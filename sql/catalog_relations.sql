-- For each reader and schema asked about: the owners of its relations, and what the reader cannot read.
-- The containment test is cheap and settles nearly every row of a granted database; has_*_privilege is the exact answer
-- (PUBLIC, memberships, ownership, other grantors) for what it leaves. A reader of 0 has what PUBLIC has.
SELECT asked.reader::bigint AS reader,
       c.relnamespace::bigint AS schema,
       c.relowner::bigint AS owner,
       pg_catalog.count(*) AS total,
       COALESCE(
         pg_catalog.array_agg(c.relkind::text || c.relname::text) FILTER (
           WHERE NOT COALESCE(c.relacl @> pg_catalog.makeaclitem(asked.reader, c.relowner, 'SELECT', false), false)
             AND NOT CASE c.relkind
                       WHEN 'S' THEN pg_catalog.has_sequence_privilege(asked.reader, c.oid, 'SELECT')
                       ELSE pg_catalog.has_table_privilege(asked.reader, c.oid, 'SELECT')
                     END),
         '{}') AS missing
  FROM ROWS FROM (pg_catalog.unnest(%(readers)s::oid[]), pg_catalog.unnest(%(schemas)s::oid[])) AS asked (reader, schema)
  JOIN pg_catalog.pg_class c ON c.relnamespace = asked.schema
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 GROUP BY asked.reader, c.relnamespace, c.relowner
 ORDER BY asked.reader, c.relnamespace, c.relowner
