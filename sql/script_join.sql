-- What a script has to run so that the admin acts for some roles, and to leave them as it found them; psql keeps both.
-- A membership that the admin has granted itself is altered and put back, any other is made and taken away.
SELECT COALESCE(
         pg_catalog.string_agg(pg_catalog.format('GRANT %I TO CURRENT_USER%s;', w.name,
                                                 CASE WHEN w.options THEN ' WITH INHERIT TRUE, SET TRUE' END), ' '), ''
       ) AS join_owners,
       COALESCE(
         pg_catalog.string_agg(
           CASE WHEN w.known IS NULL
                THEN pg_catalog.format('REVOKE %I FROM CURRENT_USER;', w.name)
                ELSE pg_catalog.format('GRANT %I TO CURRENT_USER WITH INHERIT %s, SET %s;', w.name,
                                       w.known ->> 'inherit_option', w.known ->> 'set_option')
           END, ' '), ''
       ) AS leave_owners
  FROM (SELECT r.rolname AS name, m.known AS known, s.options AS options
          FROM pg_catalog.pg_roles r
         CROSS JOIN (SELECT pg_catalog.current_setting('server_version_num')::int >= 160000) AS s (options)
         CROSS JOIN LATERAL (
               SELECT (SELECT pg_catalog.to_jsonb(a)
                         FROM pg_catalog.pg_auth_members a
                         JOIN pg_catalog.pg_roles me ON me.oid = a.member AND me.rolname = CURRENT_USER
                        WHERE a.roleid = r.oid AND pg_catalog.pg_has_role(a.grantor, 'USAGE')
                        LIMIT 1)
               ) AS m (known)
         WHERE r.rolname IN ({roles})
           AND CASE WHEN s.options
                    THEN NOT (pg_catalog.pg_has_role(r.oid, 'USAGE') AND pg_catalog.pg_has_role(r.oid, 'SET'))
                    ELSE m.known IS NULL AND NOT pg_catalog.pg_has_role(r.oid, 'USAGE')
               END) AS w
