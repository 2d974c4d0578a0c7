-- Settings with which sessions of a role begin in this database; those for all databases are with the role.
SELECT s.setrole::bigint AS role,
       s.setconfig AS settings
  FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
 WHERE d.datname = pg_catalog.current_database()
   AND s.setrole <> 0
 ORDER BY s.setrole
