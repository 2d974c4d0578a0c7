-- Columns with an ACL of their own, those of one relation with one ACL in one row. Few relations have such, so that each
-- is looked up (the LIMIT forbids to join them all). `only`: of none but these.
SELECT 'column' AS kind,
       n.nspname AS schema,
       c.relname AS relation,
       c.relowner::bigint AS owner,
       false AS is_default,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(g.acl) a) AS entries,
       '' AS extension,
       '' AS row_security,
       false AS definer,
       c.oid < 16384 AS installed,
       c.oid < 12000 AND c.relkind <> 'v' AS catalog,
       g.total AS total,
       g.names AS names
  FROM (SELECT t.attrelid AS relation, t.attacl AS acl, pg_catalog.count(*) AS total,
               pg_catalog.array_agg(t.attname::text) AS names
          FROM pg_catalog.pg_attribute t
         WHERE t.attacl IS NOT NULL
           AND NOT t.attisdropped
           AND (%(only)s::oid[] IS NULL OR t.attrelid = ANY (%(only)s::oid[]))
         GROUP BY t.attrelid, t.attacl) AS g
 CROSS JOIN LATERAL (SELECT r.oid, r.relname, r.relnamespace, r.relowner, r.relkind
                       FROM pg_catalog.pg_class r
                      WHERE r.oid = g.relation AND r.relpersistence <> 't'
                      LIMIT 1) AS c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
