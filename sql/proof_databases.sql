-- Every database that somebody can connect to, and whether each user may; a default ACL lets PUBLIC connect, also where
-- a GRANT that was taken back has left it written out.
SELECT d.datname AS name,
       d.datacl IS NULL
         OR d.datacl OPERATOR(pg_catalog.@>) pg_catalog.acldefault('d', d.datdba)
        AND d.datacl OPERATOR(pg_catalog.<@) pg_catalog.acldefault('d', d.datdba) AS default_acl,
       ARRAY(SELECT r.rolname
               FROM pg_catalog.pg_roles r
              WHERE r.rolname = ANY (%(users)s::pg_catalog.name[])
                AND pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')
              ORDER BY 1)::text[] AS open_to
  FROM pg_catalog.pg_database d
 WHERE NOT d.datistemplate
   AND d.datallowconn
 ORDER BY d.datname
