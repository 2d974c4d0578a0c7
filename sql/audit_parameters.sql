-- Parameters with an ACL (PostgreSQL 15 and newer), which belong to the bootstrap superuser. `only`: none but these.
SELECT 'parameter' AS kind,
       '' AS schema,
       '' AS relation,
       10::bigint AS owner,
       false AS is_default,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(g.acl) a) AS entries,
       '' AS extension,
       '' AS row_security,
       false AS definer,
       false AS installed,
       false AS catalog,
       g.total AS total,
       g.names AS names
  FROM (SELECT p.paracl AS acl, pg_catalog.count(*) AS total, pg_catalog.array_agg(p.parname) AS names
          FROM pg_catalog.pg_parameter_acl p
         WHERE %(only)s::text[] IS NULL OR p.parname = ANY (%(only)s::text[])
         GROUP BY p.paracl) AS g
 ORDER BY g.names
