-- Relations, where somebody made them and where privileges are not what the readers want.
-- Many relations share an owner and an ACL: each pair is judged once, so that size costs a scan. Three kinds of rows:
-- `total` alone, how many an owner has in a schema; with `entries`, a group of relations of which some reader lacks, or
-- has otherwise or more than, SELECT from the owner; and, `named`, such that fit a pattern which excludes some.
WITH class AS MATERIALIZED (
  SELECT c.relnamespace AS schema, c.relowner AS owner, c.relkind = 'S' AS sequences, c.relacl AS acl,
         pg_catalog.count(*) AS total, pg_catalog.min(c.oid) AS first, pg_catalog.max(c.oid) AS last
    FROM pg_catalog.pg_class c
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND c.relpersistence <> 't'
   GROUP BY c.relnamespace, c.relowner, c.relkind = 'S', c.relacl
), wanted AS MATERIALIZED (
  SELECT w.schema AS schema, pg_catalog.array_agg(w.reader) AS readers
    FROM ROWS FROM (pg_catalog.unnest(%(wanted_readers)s::oid[]), pg_catalog.unnest(%(wanted_schemas)s::oid[]))
           AS w (reader, schema)
   GROUP BY w.schema
), reach AS MATERIALIZED (
  SELECT r.reader, r.role
    FROM ROWS FROM (pg_catalog.unnest(%(reach_readers)s::oid[]), pg_catalog.unnest(%(reach_roles)s::oid[]))
           AS r (reader, role)
), judged AS MATERIALIZED (
  SELECT k.schema, k.owner, k.sequences, k.acl, k.total, k.first, k.last, w.readers,
         pg_catalog.cardinality(ARRAY(
           SELECT r FROM pg_catalog.unnest(w.readers) r
            WHERE pg_catalog.makeaclitem(r, k.owner, 'SELECT', false) = ANY (k.acl) IS NOT TRUE)) > 0 AS odd,
         EXISTS (SELECT FROM pg_catalog.aclexplode(k.acl) e
                  WHERE e.grantee = ANY (%(readers)s::oid[])
                    AND e.grantee <> k.owner
                    AND (e.privilege_type <> 'SELECT' OR e.is_grantable OR w.readers IS NULL
                         OR e.grantee <> ALL (w.readers))) AS beyond
    FROM class k
    LEFT JOIN wanted w ON w.schema = k.schema
), found AS MATERIALIZED (
  SELECT j.schema, j.owner, j.sequences, j.acl, j.total, j.first, j.last, j.beyond OR j.odd AND EXISTS (
           SELECT FROM pg_catalog.unnest(j.readers) r
            WHERE r <> ALL (%(reading_all)s::oid[])
              AND NOT EXISTS (
                SELECT FROM pg_catalog.aclexplode(COALESCE(j.acl, pg_catalog.acldefault(
                         CASE WHEN j.sequences THEN 's' ELSE 'r' END::"char", j.owner))) e
                 WHERE e.privilege_type = 'SELECT'
                   AND (e.grantee IN (0, r) OR (r, e.grantee) IN (SELECT m.reader, m.role FROM reach m)))
         ) AS by_name
    FROM judged j
   WHERE j.odd OR j.beyond
), member AS (
  -- One or two, which is what is new on most days, are found without another scan.
  SELECT f.first AS class, c.relkind::text || c.relname::text AS name,
         pg_catalog.pg_column_size(c.relacl) > 4000 AND 8160 - 64 < pg_catalog.pg_column_size(c) + %(newcomers)s
         * (pg_catalog.pg_column_size(c.relacl) / pg_catalog.cardinality(c.relacl) + 1) AS crowded
    FROM found f
    JOIN pg_catalog.pg_class c ON c.oid IN (f.first, f.last)
   WHERE f.by_name AND f.total < 3
   UNION ALL
  -- Written so that it can be hashed, which IS NOT DISTINCT FROM cannot.
  SELECT f.first, c.relkind::text || c.relname::text,
         pg_catalog.pg_column_size(c.relacl) > 4000 AND 8160 - 64 < pg_catalog.pg_column_size(c) + %(newcomers)s
         * (pg_catalog.pg_column_size(c.relacl) / pg_catalog.cardinality(c.relacl) + 1)
    FROM found f
    JOIN pg_catalog.pg_class c
      ON c.relnamespace = f.schema AND c.relowner = f.owner AND (c.relkind = 'S') = f.sequences
     AND (c.relacl IS NULL) = (f.acl IS NULL) AND COALESCE(c.relacl, '{}') = COALESCE(f.acl, '{}')
   WHERE f.by_name AND f.total > 2
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND c.relpersistence <> 't'
), name AS (
  SELECT m.class AS class,
         pg_catalog.array_agg(m.name) AS names,
         pg_catalog.array_agg(pg_catalog.substr(m.name, 2)) FILTER (WHERE m.crowded) AS crowded
    FROM member m
   GROUP BY m.class
), excluded AS (
  SELECT c.relnamespace AS schema, c.relowner AS owner, c.relkind = 'S' AS sequences, c.relacl AS acl,
         pg_catalog.array_agg(c.relkind::text || c.relname::text) AS names
    FROM pg_catalog.pg_class c
   WHERE c.relnamespace = ANY (%(excluding)s::oid[])
     AND c.relname LIKE ANY (%(patterns)s::text[])
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) e
                  WHERE e.grantee <> c.relowner
                    AND (e.grantee = ANY (%(readers)s::oid[])
                         OR e.privilege_type = 'SELECT' AND (e.grantee = 0 OR e.grantee IN (SELECT m.role FROM reach m))))
   GROUP BY c.relnamespace, c.relowner, c.relkind = 'S', c.relacl
), rows AS (
  SELECT k.schema, k.owner, false AS sequences, false AS named, NULL::aclitem[] AS acl, pg_catalog.sum(k.total) AS total,
         false AS has_entries, NULL::text[] AS names, NULL::text[] AS crowded
    FROM class k
   GROUP BY k.schema, k.owner
   UNION ALL
  SELECT f.schema, f.owner, f.sequences, false, f.acl, f.total, true, n.names, n.crowded
    FROM found f
    LEFT JOIN name n ON n.class = f.first
   UNION ALL
  SELECT x.schema, x.owner, x.sequences, true, x.acl, pg_catalog.cardinality(x.names), true, x.names, NULL
    FROM excluded x
)
SELECT r.schema::bigint AS schema,
       r.owner::bigint AS owner,
       r.sequences AS sequences,
       r.named AS named,
       r.total::bigint AS total,
       CASE WHEN r.has_entries THEN ARRAY(
         SELECT pg_catalog.concat_ws(' ', e.grantee, e.grantor, e.is_grantable, e.privilege_type)
           FROM pg_catalog.aclexplode(COALESCE(r.acl, pg_catalog.acldefault(
                  CASE WHEN r.sequences THEN 's' ELSE 'r' END::"char", r.owner))) e
          WHERE e.privilege_type = 'SELECT'
             OR e.grantee = ANY (%(readers)s::oid[])
             OR e.grantor = ANY (%(readers)s::oid[]) OR e.is_grantable) END AS entries,
       COALESCE(r.names, '{}') AS names,
       COALESCE(r.crowded, '{}') AS crowded
  FROM rows r
 ORDER BY r.schema, r.owner, r.sequences, r.total, r.acl::text
