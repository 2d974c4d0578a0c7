-- Every membership. INHERIT and SET are options of it since PostgreSQL 16; before, INHERIT is the member's attribute.
SELECT m.roleid::bigint AS role,
       m.member::bigint AS member,
       m.grantor::bigint AS grantor,
       m.admin_option AS admin,
       COALESCE((pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherit,
       COALESCE((pg_catalog.to_jsonb(m) ->> 'set_option')::boolean, true) AS set_role
  FROM pg_catalog.pg_auth_members m
  JOIN pg_catalog.pg_roles r ON r.oid = m.member
 ORDER BY m.roleid, m.member, m.grantor
