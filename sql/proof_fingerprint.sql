-- What this database says about the readers and the groups they are in: a count and a digest a section, the same on the
-- primary and on a replica that has replayed it. A sum of hashes needs no order and no memory, however many relations.
WITH facts (section, fact) AS (
  SELECT 'schema privileges',
         pg_catalog.concat_ws(' ', n.oid, n.nspname, n.nspowner, a.grantor, a.grantee, a.privilege_type, a.is_grantable)
    FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
   WHERE a.grantee = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'relation privileges',
         pg_catalog.concat_ws(' ', c.oid, c.relname, c.relowner, a.grantor, a.grantee, a.privilege_type, a.is_grantable)
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
   WHERE a.grantee = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'column privileges',
         pg_catalog.concat_ws(' ', t.attrelid, t.attname, a.grantor, a.grantee, a.privilege_type, a.is_grantable)
    FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
   WHERE a.grantee = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'default privileges',
         pg_catalog.concat_ws(' ', d.defaclrole, d.defaclnamespace, d.defaclobjtype, a.grantor, a.grantee,
                              a.privilege_type, a.is_grantable)
    FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) a
   WHERE a.grantee = ANY (%(readers)s::pg_catalog.oid[])
)
SELECT f.section AS section,
       pg_catalog.count(*) AS count,
       pg_catalog.sum(pg_catalog.hashtextextended(f.fact, 0))::text AS digest
  FROM facts f
 GROUP BY f.section
 ORDER BY f.section
