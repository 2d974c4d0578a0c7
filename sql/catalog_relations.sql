-- For each reader and schema asked about: the owners of its relations, and what the reader cannot read.
-- The containment test is cheap and settles every row of a granted database in one scan. Where it leaves a doubt, a second
-- scan asks has_*_privilege, which knows all ways (PUBLIC, memberships, ownership, other grantors); without any, that scan
-- is never begun. A reader of 0 has what PUBLIC has.
WITH found AS MATERIALIZED (
  SELECT asked.reader AS reader,
         c.relnamespace AS schema,
         c.relowner AS owner,
         pg_catalog.count(*) AS total,
         pg_catalog.count(*) FILTER (
           WHERE NOT COALESCE(c.relacl @> pg_catalog.makeaclitem(asked.reader, c.relowner, 'SELECT', false), false)
         ) AS in_doubt
    FROM ROWS FROM (pg_catalog.unnest(%(readers)s::oid[]), pg_catalog.unnest(%(schemas)s::oid[])) AS asked (reader, schema)
    JOIN pg_catalog.pg_class c ON c.relnamespace = asked.schema
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   GROUP BY asked.reader, c.relnamespace, c.relowner
), unreadable AS (
  SELECT d.reader AS reader,
         d.schema AS schema,
         c.relowner AS owner,
         pg_catalog.array_agg(c.relkind::text || c.relname::text) AS names
    FROM (SELECT DISTINCT f.reader, f.schema FROM found f WHERE f.in_doubt > 0) AS d
    JOIN pg_catalog.pg_class c ON c.relnamespace = d.schema
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND NOT COALESCE(c.relacl @> pg_catalog.makeaclitem(d.reader, c.relowner, 'SELECT', false), false)
     AND NOT CASE c.relkind
               WHEN 'S' THEN pg_catalog.has_sequence_privilege(d.reader, c.oid, 'SELECT')
               ELSE pg_catalog.has_table_privilege(d.reader, c.oid, 'SELECT')
             END
   GROUP BY d.reader, d.schema, c.relowner
)
SELECT f.reader::bigint AS reader,
       f.schema::bigint AS schema,
       f.owner::bigint AS owner,
       f.total AS total,
       COALESCE(u.names, '{}') AS missing
  FROM found f
  LEFT JOIN unreadable u ON u.reader = f.reader AND u.schema = f.schema AND u.owner = f.owner
 ORDER BY f.reader, f.schema, f.owner
