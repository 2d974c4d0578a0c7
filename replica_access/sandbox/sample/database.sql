-- One database of the sample, and the roles that all of them share.
-- Variables: admin (who creates everything), database, owner (of the database). Run by a superuser.
SET client_min_messages = warning;
SET SESSION AUTHORIZATION :"admin";

SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'app_owner') AS roles_are_missing \gset
\if :roles_are_missing
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE migrator LOGIN;
CREATE ROLE app_backend LOGIN CONNECTION LIMIT 50;
\endif

-- Who gives a database to a role must be able to become that role; the admin does not stay in it.
GRANT :"owner" TO :"admin";
CREATE DATABASE :"database" OWNER :"owner" TEMPLATE template0;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"admin", app_backend;
GRANT CONNECT, CREATE ON DATABASE :"database" TO app_owner, migrator;
REVOKE :"owner" FROM :"admin";
