-- A role and some others by their oids, all that they are members of, and whoever granted that, with the memberships. As
-- `catalog_roles` has them, by index, however many there are.
WITH RECURSIVE reached (role) AS (
  (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = %(role)s
    UNION
   SELECT o.role FROM pg_catalog.unnest(%(others)s::oid[]) o (role))
   UNION
  SELECT g.role
    FROM reached x
   CROSS JOIN LATERAL (
         SELECT m.roleid FROM pg_catalog.pg_auth_members m WHERE m.member = x.role
          UNION ALL
         SELECT r.oid
           FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
          WHERE d.datname = pg_catalog.current_database() AND d.datdba = x.role AND r.rolname = 'pg_database_owner'
         ) AS g (role)
), named AS MATERIALIZED (
  SELECT x.role FROM reached x
   UNION
  SELECT m.grantor FROM reached x JOIN pg_catalog.pg_auth_members m ON m.member = x.role
   UNION
  SELECT m.member
    FROM reached x
    JOIN pg_catalog.pg_auth_members m ON m.roleid = x.role AND m.grantor IN (SELECT y.role FROM reached y)
)
SELECT r.oid::bigint AS oid,
       r.rolname AS name,
       r.rolsuper AS superuser,
       r.rolinherit AS inherit,
       r.rolcreaterole AS create_role,
       r.rolcreatedb AS create_db,
       r.rolcanlogin AS login,
       r.rolreplication AS replication,
       r.rolbypassrls AS bypass_rls,
       r.rolconnlimit AS connection_limit,
       NULL::text AS valid_until,
       '{}'::text[] AS settings,
       NULL::text AS comment,
       ARRAY(SELECT pg_catalog.concat_ws(' ', m.roleid, m.grantor, m.admin_option,
                                         COALESCE((pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit),
                                         COALESCE((pg_catalog.to_jsonb(m) ->> 'set_option')::boolean, true))
               FROM pg_catalog.pg_auth_members m
              WHERE m.member = r.oid AND m.roleid IN (SELECT n.role FROM named n)) AS memberships
  FROM named n
  JOIN pg_catalog.pg_roles r ON r.oid = n.role
 ORDER BY r.oid
