-- What a new RDS instance looks like inside, run once by the bootstrap superuser (rdsadmin).
-- Variables: master, verifier (its SCRAM verifier). Sources: the RDS user guide, "Understanding the rds_superuser role".
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET log_statement = 'none';

CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE rds_ad NOLOGIN;
CREATE ROLE rds_reserved NOLOGIN;
CREATE ROLE rdstopmgr NOLOGIN;
GRANT pg_monitor TO rdstopmgr;

GRANT pg_monitor, pg_signal_backend, pg_checkpoint, rds_password, rds_replication TO rds_superuser WITH ADMIN OPTION;

CREATE ROLE :"master" LOGIN NOSUPERUSER CREATEDB CREATEROLE NOREPLICATION VALID UNTIL 'infinity' PASSWORD :'verifier';
GRANT rds_superuser TO :"master" WITH ADMIN OPTION;

SELECT current_setting('server_version_num')::int >= 160000 AS has_grant_options \gset
\if :has_grant_options
-- RDS lets the master grant these; PostgreSQL itself asks for the admin option since 16. Neither INHERIT nor SET, for a
-- true member of rds_iam could no longer log in by password.
GRANT rds_iam, rds_ad TO :"master" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
\endif

CREATE DATABASE rdsadmin;
REVOKE ALL ON DATABASE rdsadmin FROM PUBLIC;
ALTER DATABASE postgres OWNER TO :"master";
ALTER DATABASE template1 OWNER TO :"master";
