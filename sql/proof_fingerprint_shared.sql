-- What the shared catalogs say about the readers and the groups they are in; see proof_fingerprint.sql.
WITH facts (section, fact) AS (
  SELECT 'roles', r::text
    FROM pg_catalog.pg_roles r
   WHERE r.oid = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'role settings', pg_catalog.concat_ws(' ', s.setdatabase, s.setrole, s.setconfig)
    FROM pg_catalog.pg_db_role_setting s
   WHERE s.setrole = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'memberships', m::text
    FROM pg_catalog.pg_auth_members m
   WHERE m.member = ANY (%(readers)s::pg_catalog.oid[])
      OR m.roleid = ANY (%(readers)s::pg_catalog.oid[])
  UNION ALL
  SELECT 'database privileges',
         pg_catalog.concat_ws(' ', d.oid, d.datname, d.datdba, d.datallowconn, a.grantor, a.grantee, a.privilege_type,
                              a.is_grantable)
    FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a
   WHERE a.grantee = ANY (%(readers)s::pg_catalog.oid[])
)
SELECT f.section AS section,
       pg_catalog.count(*) AS count,
       pg_catalog.sum(pg_catalog.hashtextextended(f.fact, 0))::text AS digest
  FROM facts f
 GROUP BY f.section
 ORDER BY f.section
