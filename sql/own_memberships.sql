-- What the admin is a member of, to find it unchanged before commit.
SELECT m.roleid::bigint AS role, m.grantor::bigint AS grantor, pg_catalog.to_jsonb(m) - 'oid' AS options
  FROM pg_catalog.pg_auth_members m
 WHERE m.member = %(member)s
 ORDER BY m.roleid, m.grantor
