-- Databases and tablespaces, those of one owner with one ACL in one row. Without an ACL of its own an object has the one
-- that PostgreSQL takes for it. `only`: none but these, and the one we are in.
SELECT g.kind AS kind,
       '' AS schema,
       '' AS relation,
       g.owner::bigint AS owner,
       g.acl IS NULL AS is_default,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(COALESCE(g.acl, pg_catalog.acldefault(g.letter::"char", g.owner))) a) AS entries,
       '' AS extension,
       '' AS row_security,
       false AS definer,
       false AS installed,
       false AS catalog,
       g.total AS total,
       g.names AS names
  FROM (SELECT 'database' AS kind, 'd' AS letter, d.datdba AS owner, d.datacl AS acl,
               pg_catalog.count(*) AS total, pg_catalog.array_agg(d.datname::text) AS names
          FROM pg_catalog.pg_database d
         WHERE %(only)s::oid[] IS NULL OR d.oid = ANY (%(only)s::oid[])
            OR d.datname = pg_catalog.current_database()
         GROUP BY d.datdba, d.datacl
         UNION ALL
        SELECT 'tablespace', 't', t.spcowner, t.spcacl, pg_catalog.count(*), pg_catalog.array_agg(t.spcname::text)
          FROM pg_catalog.pg_tablespace t
         WHERE %(only)s::oid[] IS NULL OR t.oid = ANY (%(only)s::oid[])
         GROUP BY t.spcowner, t.spcacl) AS g
