-- For some relations: whether the user we are may read any of it, by which ways that are no role's, and by which roles.
SELECT c.oid::bigint AS oid,
       pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
         AND CASE c.relkind
               WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
               ELSE pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
             END AS may_read,
       EXISTS (SELECT
                 FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid
                  AND d.deptype = 'e') AS of_extension,
       ARRAY(SELECT 'being a superuser'
               FROM pg_catalog.pg_roles r
              WHERE r.rolname = CURRENT_USER AND r.rolsuper
              UNION
             SELECT 'being its owner'
              WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')
              UNION
             SELECT 'PUBLIC'
              WHERE 0 = ANY (g.grantees)
              ORDER BY 1) AS ways,
       ARRAY(SELECT r.rolname::text
               FROM pg_catalog.pg_roles r
              WHERE (r.rolname = 'pg_read_all_data' OR r.oid = ANY (g.grantees))
                AND pg_catalog.pg_has_role(r.oid, 'USAGE')
              ORDER BY 1) AS roles
  FROM pg_catalog.pg_class c
 CROSS JOIN LATERAL (
       SELECT ARRAY(SELECT a.grantee
                      FROM (SELECT e.grantee, e.privilege_type FROM pg_catalog.aclexplode(c.relacl) e
                             UNION ALL
                            SELECT e.grantee, e.privilege_type
                              FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) e
                             WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped) a
                     WHERE a.privilege_type = 'SELECT')
       ) AS g (grantees)
 WHERE c.oid = ANY (%(oids)s::pg_catalog.oid[])
 ORDER BY c.oid
