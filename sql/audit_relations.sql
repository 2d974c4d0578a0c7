-- Relations, those that are alike in all that decides who may do what with them in one row. Temporary ones are their
-- session's own. Nobody but superusers writes to the system catalogs, which have the oids that initdb hands out first.
-- `only`: none but these.
SELECT CASE g.kind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                   WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'sequence' END AS kind,
       n.nspname AS schema,
       '' AS relation,
       g.owner::bigint AS owner,
       g.acl IS NULL AS is_default,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(COALESCE(g.acl, pg_catalog.acldefault(
                 CASE g.kind WHEN 'S' THEN 's' ELSE 'r' END::"char", g.owner))) a) AS entries,
       COALESCE(g.extension, '') AS extension,
       CASE WHEN g.secured AND g.forced THEN 'forced' WHEN g.secured THEN 'enabled' ELSE '' END AS row_security,
       false AS definer,
       g.installed AS installed,
       g.catalog AS catalog,
       g.total AS total,
       g.names AS names
  FROM (SELECT c.relkind AS kind, c.relnamespace AS schema, c.relowner AS owner, c.relacl AS acl,
               c.relrowsecurity AS secured, c.relforcerowsecurity AS forced, x.extname AS extension,
               c.oid < 16384 AS installed, c.oid < 12000 AND c.relkind <> 'v' AS catalog,
               pg_catalog.count(*) AS total, pg_catalog.array_agg(c.relname::text) AS names
          FROM pg_catalog.pg_class c
          LEFT JOIN (pg_catalog.pg_depend d
                     JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid)
            ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.objid = c.oid
           AND d.objsubid = 0
           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
           AND d.deptype = 'e'
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
           AND c.relpersistence <> 't'
           AND (%(only)s::oid[] IS NULL OR c.oid = ANY (%(only)s::oid[]))
         GROUP BY c.relkind, c.relnamespace, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, x.extname,
                  c.oid < 16384, c.oid < 12000 AND c.relkind <> 'v') AS g
  JOIN pg_catalog.pg_namespace n ON n.oid = g.schema
