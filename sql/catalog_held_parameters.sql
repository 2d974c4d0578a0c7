-- The configuration parameters that readers may set, or alter for the system. They belong to the bootstrap superuser.
SELECT 'PARAMETER' AS kind,
       0::bigint AS schema,
       10::bigint AS owner,
       p.parname AS name,
       pg_catalog.quote_ident(p.parname) AS identity,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(p.paracl) a
              WHERE a.grantee = ANY (%(readers)s::oid[]) OR a.grantor = ANY (%(readers)s::oid[])) AS entries
  FROM pg_catalog.pg_parameter_acl p
 WHERE EXISTS (SELECT
                 FROM pg_catalog.aclexplode(p.paracl) a
                WHERE a.grantee = ANY (%(readers)s::oid[]))
 ORDER BY p.parname
