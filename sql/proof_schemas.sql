-- Every schema that is no system schema: whether the user we are may use it, and whether so without PUBLIC's help.
SELECT n.nspname AS name,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable,
       EXISTS (SELECT
                 FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
                WHERE a.privilege_type = 'USAGE'
                  AND CASE a.grantee WHEN 0 THEN false ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END
              ) AS usable_without_public
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY n.nspname
