-- Default privileges, as they stand in the catalog; schema '' is anywhere.
SELECT p.defaclrole::bigint AS creator,
       COALESCE(n.nspname, '') AS schema,
       CASE p.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'function' WHEN 'T' THEN 'type'
                            WHEN 'n' THEN 'schema' ELSE 'large object' END AS kind,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(p.defaclacl) a) AS entries
  FROM pg_catalog.pg_default_acl p
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.defaclnamespace
 ORDER BY p.defaclrole, n.nspname, p.defaclobjtype
