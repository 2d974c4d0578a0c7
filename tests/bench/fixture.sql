-- A database in which privileges have grown for years: :schemas schemas of :tables tables each, every table with a serial
-- id, so twice as many relations. Ten creators own the tables of every schema between them; fifty logins in ten groups
-- hold grants of all sorts. Run by the bootstrap superuser; the roles are made by :admin, as on RDS.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SET log_statement = 'none';
SET log_min_duration_statement = -1;

SET SESSION AUTHORIZATION :"admin";
SELECT format('CREATE ROLE creator_%s NOLOGIN; CREATE ROLE team_%s NOLOGIN', n, n) FROM generate_series(0, 9) n
\gexec
SELECT format('CREATE ROLE person_%s LOGIN IN ROLE team_%s', n, n % 10) FROM generate_series(0, 49) n
\gexec
SELECT format('GRANT team_%s TO person_%s', (n + 3) % 10, n) FROM generate_series(0, 49, 5) n
\gexec
RESET SESSION AUTHORIZATION;

CREATE PROCEDURE pg_temp.make_schema(place int, tables int) LANGUAGE plpgsql AS $$
DECLARE
  schema text := format('sch_%s', lpad(place::text, 3, '0'));
  creators text := (SELECT string_agg(format('creator_%s', n), ', ') FROM generate_series(0, 9) n);
  team text := format('team_%s', place % 10);
  neighbours text := format('team_%s', (place + 1) % 10);
  relation text;
BEGIN
  EXECUTE format('CREATE SCHEMA %I AUTHORIZATION creator_%s', schema, place % 10);
  EXECUTE format('GRANT CREATE, USAGE ON SCHEMA %I TO %s', schema, creators);
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s, %s', schema, team, neighbours);
  FOR n IN 0 .. tables - 1 LOOP
    relation := format('%I.%I', schema, 'tab_' || lpad(n::text, 4, '0'));
    EXECUTE format('SET LOCAL ROLE creator_%s', (place * 3 + n) % 10);
    EXECUTE format('CREATE TABLE %s (id serial PRIMARY KEY, tenant int, title text, due date, amount numeric)', relation);
    EXECUTE format('GRANT SELECT ON %s TO %s', relation, team);
    IF n % 2 = 1 THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s', relation, neighbours);
      EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s_id_seq TO %s', relation, neighbours);
    END IF;
    IF n % 8 = 5 THEN
      EXECUTE format('GRANT SELECT ON %s TO person_%s', relation, (place * 7 + n) % 50);
    END IF;
    IF n % 20 = 11 THEN
      EXECUTE format('GRANT SELECT (tenant, due) ON %s TO person_%s', relation, (place + n) % 50);
    END IF;
    RESET ROLE;
    IF n % 100 = 99 THEN
      COMMIT;
    END IF;
  END LOOP;
END $$;
SELECT format('CALL pg_temp.make_schema(%s, %s)', place, :tables) FROM generate_series(0, :schemas - 1) place
\gexec

SELECT format('VACUUM (FREEZE, ANALYZE) pg_catalog.%I', relname)
  FROM pg_catalog.pg_class
 WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
\gexec
