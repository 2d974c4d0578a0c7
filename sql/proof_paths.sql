-- For some relations: whether the user we are may read any of it, and by which ways.
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
       ARRAY(SELECT 'superuser'
               FROM pg_catalog.pg_roles r
              WHERE r.rolname = CURRENT_USER AND r.rolsuper
              UNION
             SELECT 'ownership'
              WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')
              UNION
             SELECT r.rolname::text
               FROM pg_catalog.pg_roles r
              WHERE r.rolname = 'pg_read_all_data' AND pg_catalog.pg_has_role(r.oid, 'USAGE')
              UNION
             SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END
               FROM (SELECT e.grantee, e.privilege_type FROM pg_catalog.aclexplode(c.relacl) e
                      UNION ALL
                     SELECT e.grantee, e.privilege_type
                       FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) e
                      WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped) a
              WHERE a.privilege_type = 'SELECT'
                AND CASE a.grantee WHEN 0 THEN true ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END
              ORDER BY 1) AS paths
  FROM pg_catalog.pg_class c
 WHERE c.oid = ANY (%(oids)s::pg_catalog.oid[])
 ORDER BY c.oid
