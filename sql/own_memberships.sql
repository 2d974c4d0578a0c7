-- What the admin's memberships in some roles are, to find them unchanged before commit.
SELECT m.roleid::bigint AS role, m.grantor::bigint AS grantor, pg_catalog.to_jsonb(m) - 'oid' AS options
  FROM pg_catalog.pg_auth_members m
 WHERE m.member = %(member)s
   AND m.roleid = ANY (%(roles)s::oid[])
 ORDER BY m.roleid, m.grantor
