-- Every default privilege that lets somebody use what is made, and all that readers have or give by one; schema 0 is
-- anywhere. The creator's own entry is no news.
-- A creator has the same ACL in most schemas: each ACL is looked into once, with the schemas that have it.
SELECT d.creator::bigint AS creator,
       d.kind::text AS kind,
       d.schemas AS schemas,
       ARRAY(SELECT a.grantee::bigint
               FROM pg_catalog.aclexplode(d.acl) a
              WHERE a.grantee <> d.creator
                AND a.privilege_type = CASE d.kind WHEN 'n' THEN 'USAGE' WHEN 'T' THEN 'USAGE'
                                                   WHEN 'f' THEN 'EXECUTE' ELSE 'SELECT' END) AS readable_by,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(d.acl) a
              WHERE a.grantee <> d.creator
                AND (a.grantee = ANY (%(readers)s::oid[]) OR d.creator = ANY (%(readers)s::oid[]))) AS entries
  FROM (SELECT p.defaclrole AS creator,
               p.defaclobjtype AS kind,
               p.defaclacl AS acl,
               pg_catalog.array_agg(p.defaclnamespace::bigint) AS schemas,
               pg_catalog.min(p.defaclnamespace) AS first_schema
          FROM pg_catalog.pg_default_acl p
         WHERE p.defaclobjtype IN ('r', 'S', 'n', 'f', 'T')
         GROUP BY p.defaclrole, p.defaclobjtype, p.defaclacl) AS d
 ORDER BY d.creator, d.kind, d.first_schema
