"""What somebody does by psql to a world that is as declared, and which rule of the audit is to find it.

Rule, subject, object, SQL; the names of the world stand for themselves where they are all of it, else in braces.
"""

from __future__ import annotations

SABOTAGES: tuple[tuple[str, str, str, str], ...] = (
    ("excess-write", "reader", "leasing.lease", 'GRANT INSERT, DELETE ON leasing.lease TO :"reader"'),
    ("excess-write", "reader", "leasing.lease.tenant", 'GRANT UPDATE (tenant) ON leasing.lease TO :"reader"'),
    ("excess-write", "reader", "leasing.invoice_number",
     'GRANT UPDATE ON SEQUENCE leasing.invoice_number TO :"reader"'),
    ("excess-change", "reader", "leasing.history", 'GRANT TRIGGER, REFERENCES ON leasing.history TO :"reader"'),
    ("excess-create", "reader", "leasing", 'GRANT CREATE ON SCHEMA leasing TO :"reader"'),
    ("excess-create", "reader", "database", 'GRANT CREATE ON DATABASE :"database" TO :"reader"'),
    ("excess-temporary", "user", "database", 'GRANT TEMPORARY ON DATABASE :"database" TO :"user"'),
    ("excess-read", "reader", "vault", 'GRANT USAGE ON SCHEMA vault TO :"reader"'),
    ("excess-read", "reader", "vault.keys", 'GRANT SELECT ON vault.keys TO :"reader"'),
    ("excess-definer", "user", "leasing.peek(integer)",
     """CREATE FUNCTION leasing.peek(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
     REVOKE EXECUTE ON FUNCTION leasing.peek FROM PUBLIC; GRANT EXECUTE ON FUNCTION leasing.peek TO :"user" """),
    ("excess-execute", "user", 'leasing."odd Name"()',
     """CREATE FUNCTION leasing."odd Name"() RETURNS int LANGUAGE sql AS 'SELECT 1';
     GRANT EXECUTE ON FUNCTION leasing."odd Name" TO :"user" """),
    ("excess-execute", "reader", "pg_catalog.pg_read_file(text)",
     'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO :"reader"'),
    ("excess-read", "user", "pg_catalog.pg_authid", 'GRANT SELECT ON pg_catalog.pg_authid TO :"user"'),
    ("excess-foreign", "reader", "elsewhere", 'GRANT USAGE ON FOREIGN SERVER elsewhere TO :"reader"'),
    ("excess-large-object", "reader", "424242",
     'SELECT lo_create(424242); GRANT UPDATE ON LARGE OBJECT 424242 TO :"reader"'),
    ("excess-parameter", "user", "log_statement", 'GRANT SET ON PARAMETER log_statement TO :"user"'),
    ("excess-grant-option", "reader", "leasing.open", 'GRANT SELECT ON leasing.open TO :"reader" WITH GRANT OPTION'),
    ("excess-owner", "user", "leasing.mine",
     'CREATE TABLE leasing.mine (); ALTER TABLE leasing.mine OWNER TO :"user"'),
    ("excess-owner", "user", "leasing.a_number",
     """CREATE TABLE leasing.z_table (id int); CREATE SEQUENCE leasing.a_number OWNED BY leasing.z_table.id;
     ALTER TABLE leasing.z_table OWNER TO :"user" """),
    ("excess-owner", "user", "of_a_reader",
     'CREATE SERVER of_a_reader FOREIGN DATA WRAPPER nowhere; ALTER SERVER of_a_reader OWNER TO :"user"'),
    ("excess-owner", "user", 'publication "Odd one"',
     'CREATE PUBLICATION "Odd one"; ALTER PUBLICATION "Odd one" OWNER TO :"user"'),
    ("excess-owner", "user", "operator leasing.@+@(integer,integer)",
     """CREATE OPERATOR leasing.@+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
     ALTER OPERATOR leasing.@+@ (int, int) OWNER TO :"user" """),
    ("excess-owner", "reader", "statistics object leasing.of_both",
     """CREATE STATISTICS leasing.of_both ON id, tenant FROM leasing.lease;
     ALTER STATISTICS leasing.of_both OWNER TO :"reader" """),
    ("excess-setting", "user", "search_path", 'ALTER ROLE :"user" IN DATABASE :"database" SET search_path = evil'),
    ("excess-setting", "user", "role", """ALTER ROLE :"user" SET role = 'somebody'"""),
    ("public-catalog", "PUBLIC", "pg_catalog.pg_authid", "GRANT SELECT ON pg_catalog.pg_authid TO PUBLIC"),
    ("public-catalog", "PUBLIC", "pg_catalog.pg_authid.rolpassword",
     "GRANT UPDATE (rolpassword) ON pg_catalog.pg_authid TO PUBLIC"),
    ("public-catalog", "PUBLIC", "pg_catalog.lo_import(text)",
     "GRANT EXECUTE ON FUNCTION pg_catalog.lo_import(text) TO PUBLIC"),
    ("public-catalog", "PUBLIC", "information_schema", "GRANT CREATE ON SCHEMA information_schema TO PUBLIC"),
    ("excess-execute", "reader", "leasing.tags",
     """CREATE DOMAIN leasing.tags AS text[]; REVOKE ALL ON DOMAIN leasing.tags FROM PUBLIC;
     GRANT USAGE ON DOMAIN leasing.tags TO :"reader" """),
    ("excess-future", "reader", "tables of {migrator} in leasing",
     'ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" IN SCHEMA leasing GRANT INSERT ON TABLES TO :"reader"'),
    ("excess-attribute", "user", "CREATEDB", 'ALTER ROLE :"user" CREATEDB'),
    ("excess-attribute", "reader", "BYPASSRLS", 'ALTER ROLE :"reader" BYPASSRLS'),
    ("excess-predefined", "user", "pg_write_all_data", 'GRANT pg_write_all_data TO :"user"'),
    ("excess-membership", "user", "{app_owner}", 'GRANT :"app_owner" TO :"user"'),
    ("excess-exclusion", "reader", "leasing.password_reset", 'GRANT SELECT ON leasing.password_reset TO PUBLIC'),
    ("public-read", "PUBLIC", "leasing.password_reset", "SELECT"),
    ("public-write", "PUBLIC", "leasing.history", "GRANT UPDATE ON leasing.history TO PUBLIC"),
    ("public-create", "PUBLIC", "leasing", "GRANT CREATE ON SCHEMA leasing TO PUBLIC"),
    ("public-definer", "PUBLIC", "leasing.shout()",
     "CREATE FUNCTION leasing.shout() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"),
    ("public-foreign", "PUBLIC", "nowhere", "GRANT USAGE ON FOREIGN DATA WRAPPER nowhere TO PUBLIC"),
    ("public-future", "PUBLIC", "tables of {app_owner} anywhere",
     'ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT INSERT ON TABLES TO PUBLIC'),
    ("public-parameter", "PUBLIC", "log_duration", "GRANT SET ON PARAMETER log_duration TO PUBLIC"),
    ("public-connect", "PUBLIC", "database", 'GRANT CONNECT ON DATABASE :"database" TO PUBLIC'),
    ("public-temporary", "PUBLIC", "database", 'GRANT TEMPORARY ON DATABASE :"database" TO PUBLIC'),
    ("lack-missing", "reader", "leasing", 'REVOKE SELECT ON leasing.lease FROM :"reader"'),
    ("login-expired", "user", "valid_until", """ALTER ROLE :"user" VALID UNTIL '2020-01-31'"""),
    ("login-no-limit", "user", "connection_limit", 'ALTER ROLE :"user" CONNECTION LIMIT -1'),
    ("login-no-timeout", "user", "statement_timeout", 'ALTER ROLE :"user" SET statement_timeout = 0'),
    ("login-undeclared", "{migrator}", "LOGIN",
     'ALTER ROLE :"migrator" LOGIN; GRANT CONNECT ON DATABASE :"database" TO :"migrator"'),
    ("excess-member", "{migrator}", "reader", "SELECT"),
    ("login-admin-option", "{migrator}", "reader", 'GRANT :"reader" TO :"migrator" WITH ADMIN OPTION'),
)  # fmt: skip

SABOTAGED = tuple(dict.fromkeys(rule for rule, *_ in SABOTAGES))
"""The rules, each once."""
