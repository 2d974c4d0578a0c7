-- Every role, with its memberships. pg_roles, never pg_authid: RDS and others refuse that.
-- INHERIT and SET are options of a membership since PostgreSQL 16; before, INHERIT is the member's attribute.
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
       CASE WHEN pg_catalog.isfinite(r.rolvaliduntil)
            THEN pg_catalog.to_char(pg_catalog.timezone('UTC', r.rolvaliduntil), 'YYYY-MM-DD HH24:MI:SS') || '+00'
       END AS valid_until,
       COALESCE(r.rolconfig, '{}') AS settings,
       pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment,
       ARRAY(SELECT pg_catalog.concat_ws(' ', m.roleid, m.grantor, m.admin_option,
                                         COALESCE((pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit),
                                         COALESCE((pg_catalog.to_jsonb(m) ->> 'set_option')::boolean, true))
               FROM pg_catalog.pg_auth_members m
              WHERE m.member = r.oid) AS memberships
  FROM pg_catalog.pg_roles r
 ORDER BY r.oid
