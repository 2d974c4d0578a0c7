-- What a reader's group should read (leasing, and a schema with an odd name), and what it should not (vault, and a part
-- of leasing); as a superuser, with privileges as the tool would give them.
CREATE SCHEMA leasing AUTHORIZATION {owner};
CREATE SCHEMA vault AUTHORIZATION {owner};
CREATE SCHEMA "Odd.Schema ""x"" %" AUTHORIZATION {owner};
SET ROLE {owner};
CREATE TABLE leasing.lease (id serial PRIMARY KEY, tenant text);
CREATE TABLE leasing.payment (id bigint GENERATED ALWAYS AS IDENTITY, amount numeric) PARTITION BY RANGE (id);
CREATE TABLE leasing.payment_1 PARTITION OF leasing.payment FOR VALUES FROM (1) TO (1000);
CREATE TABLE leasing.nothing ();
CREATE VIEW leasing.open AS SELECT id, count(*) FROM leasing.lease GROUP BY id LIMIT 5;
CREATE MATERIALIZED VIEW leasing.totals AS SELECT 1 / 0 AS total WITH NO DATA;
CREATE SEQUENCE leasing.invoice_number;
CREATE TABLE leasing.password_reset (token text, made timestamptz);
CREATE TABLE vault.keys (secret text);
CREATE TABLE "Odd.Schema ""x"" %"."50% {{off}} \n 🏠 'quote'" (id int);
CREATE TABLE "Odd.Schema ""x"" %".".
" (id int);
CREATE TABLE "Odd.Schema ""x"" %"."ééééééééééééééééééééééééééééééé1" (id int);
RESET ROLE;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE leasing.remote (id int) SERVER elsewhere;
CREATE FOREIGN TABLE leasing.password_remote (id int) SERVER elsewhere;
ALTER FOREIGN TABLE leasing.remote OWNER TO {owner};
REVOKE CONNECT ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {group}, {admin};
GRANT USAGE ON SCHEMA leasing, "Odd.Schema ""x"" %", public TO {group};
GRANT SELECT ON ALL TABLES IN SCHEMA leasing, "Odd.Schema ""x"" %" TO {group};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA leasing, "Odd.Schema ""x"" %" TO {group};
REVOKE SELECT ON leasing.password_reset, leasing.password_remote FROM {group};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA leasing GRANT SELECT ON TABLES TO {group};
GRANT {group} TO {user};
ALTER ROLE {user} SET statement_timeout = '15min';
