-- What a script has to run so that the admin acts for some owners, and to leave them as it found them; psql keeps both.
-- A membership that the admin has granted itself is altered and put back, any other is made and taken away.
SELECT COALESCE(
         pg_catalog.string_agg(pg_catalog.format('GRANT %I TO CURRENT_USER%s;', w.name, w.option), ' '), ''
       ) AS join_owners,
       COALESCE(
         pg_catalog.string_agg(
           CASE WHEN w.known
                THEN pg_catalog.format('GRANT %I TO CURRENT_USER WITH INHERIT FALSE;', w.name)
                ELSE pg_catalog.format('REVOKE %I FROM CURRENT_USER;', w.name)
           END, ' '), ''
       ) AS leave_owners
  FROM (SELECT r.rolname AS name,
               m.known AS known,
               CASE WHEN s.options IS FALSE THEN ''
                    WHEN m.known THEN ' WITH INHERIT TRUE'
                    ELSE ' WITH INHERIT TRUE, SET FALSE'
               END AS option
          FROM pg_catalog.pg_roles r
         CROSS JOIN (SELECT pg_catalog.current_setting('server_version_num')::int >= 160000) AS s (options)
         CROSS JOIN LATERAL (
               SELECT EXISTS (SELECT
                                FROM pg_catalog.pg_auth_members a
                                JOIN pg_catalog.pg_roles me ON me.oid = a.member AND me.rolname = CURRENT_USER
                               WHERE a.roleid = r.oid AND pg_catalog.pg_has_role(a.grantor, 'USAGE'))
               ) AS m (known)
         WHERE r.rolname IN ({roles})
           AND NOT pg_catalog.pg_has_role(r.oid, 'USAGE')
           AND (s.options OR NOT m.known)) AS w
