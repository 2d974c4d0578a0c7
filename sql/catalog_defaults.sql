-- Every default privilege that lets somebody read; schema 0 is anywhere. The creator's own entry is no news.
SELECT d.defaclrole::bigint AS creator,
       d.defaclnamespace::bigint AS schema,
       d.defaclobjtype::text AS kind,
       ARRAY(SELECT DISTINCT a.grantee::bigint
               FROM pg_catalog.aclexplode(d.defaclacl) a
              WHERE a.grantee <> d.defaclrole
                AND a.privilege_type = CASE d.defaclobjtype WHEN 'n' THEN 'USAGE' ELSE 'SELECT' END
              ORDER BY 1) AS readable_by
  FROM pg_catalog.pg_default_acl d
 WHERE d.defaclobjtype IN ('r', 'S', 'n')
 ORDER BY d.defaclrole, d.defaclnamespace, d.defaclobjtype
