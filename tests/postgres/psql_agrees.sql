-- Privileges of every kind on the world of world.sql, once the spec is applied to it.
SET ROLE :"app_owner";
GRANT USAGE ON SCHEMA leasing, vault TO :"deleg";
GRANT INSERT ON leasing.lease TO :"reader" WITH GRANT OPTION;
GRANT SELECT ON leasing.lease TO PUBLIC;
GRANT DELETE, SELECT ON leasing.lease, leasing.payment TO :"deleg" WITH GRANT OPTION;
GRANT UPDATE (tenant), SELECT (id) ON leasing.lease TO :"reader";
GRANT UPDATE (token) ON leasing.password_reset TO :"user" WITH GRANT OPTION;
GRANT SELECT (token) ON leasing.password_reset TO PUBLIC;
GRANT SELECT ON vault.keys TO :"reader";
GRANT ALL ON "Odd.Schema ""x"""."50% {off} \n 🏠 'quote'" TO :"user";
GRANT USAGE ON SEQUENCE leasing.invoice_number TO :"reader";
ALTER TABLE leasing.payment ADD COLUMN " odd: ""c""" int;
GRANT REFERENCES (" odd: ""c""") ON leasing.payment TO :"reader";
REVOKE SELECT ON leasing.open FROM :"reader";
SET ROLE :"deleg";
GRANT DELETE, SELECT ON leasing.lease, leasing.payment TO :"reader";
GRANT SELECT ON leasing.payment TO :"user";
SET ROLE :"reader";
GRANT INSERT ON leasing.lease TO :"deleg";
RESET ROLE;
GRANT SELECT ON pg_catalog.pg_authid TO :"reader";
ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" IN SCHEMA leasing, "Odd.Schema ""x""" GRANT INSERT ON TABLES
   TO :"reader" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE :"deleg" GRANT ALL ON FUNCTIONS TO :"user";
ALTER DEFAULT PRIVILEGES FOR ROLE :"deleg" REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"reader" IN SCHEMA leasing GRANT SELECT ON SEQUENCES TO PUBLIC, :"deleg";
GRANT :"user" TO :"deleg" WITH ADMIN OPTION;
GRANT :"migrator" TO :"reader";
