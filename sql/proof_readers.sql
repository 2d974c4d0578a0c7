-- The readers that exist, and the groups they are in. By oid from here on: a name reads differently in a database of
-- another encoding.
WITH RECURSIVE readers (oid) AS (
  SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (%(names)s::pg_catalog.name[])
  UNION
  SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN readers ON readers.oid = m.member
)
SELECT readers.oid::bigint AS oid
  FROM readers
 ORDER BY readers.oid
