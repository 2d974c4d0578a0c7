"""What people see, word for word; ports are masked."""

from __future__ import annotations

import re

from tests.cli.conftest import Shop

CHECK = """\
✓ primary: PostgreSQL VERSION at localhost, as master (CREATEROLE)
Nothing stands in the way: 1 check passed.
"""

PLAN = """\
Roles, shared by all databases
  + create the group readers
      CREATE ROLE "readers" NOLOGIN;
  + create the login bi
      CREATE ROLE "bi" LOGIN;
  + give bi a generated password, kept in file:bi.password
      ALTER ROLE "bi" PASSWORD 'SCRAM-SHA-256$…';
  + make bi a member of readers
      GRANT "readers" TO "bi" WITH INHERIT TRUE;
  + let readers connect to shop
      GRANT CONNECT ON DATABASE "shop" TO "readers";

Database shop
  + let readers use 2 schemas: sales, stock
      GRANT USAGE ON SCHEMA "sales", "stock" TO "readers";
  + let readers read 2 tables and 1 view in sales, stock
      GRANT SELECT ON TABLE "sales"."orders", "sales"."totals", "stock"."items" TO "readers";
  + let readers read 2 sequences in sales, stock
      GRANT SELECT ON SEQUENCE "sales"."orders_id_seq", "stock"."items_id_seq" TO "readers";
  + let readers read tables, sequences and schemas that app_owner, migrator make anywhere in shop, from now on
      ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner", "migrator" GRANT SELECT ON TABLES TO "readers";
      ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner", "migrator" GRANT SELECT ON SEQUENCES TO "readers";
      ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner", "migrator" GRANT USAGE ON SCHEMAS TO "readers";

Pending
  … database later: no such database yet; readers gets its grants there at the next run
  … exclusion shop: public: a new schema that fits is readable by default, until a run with --allow-revoke closes it

9 changes, 2 pending.
"""

APPLIED = """\
✓ create the group readers
✓ create the login bi
✓ give bi a generated password, kept in file:bi.password
✓ make bi a member of readers
✓ let readers connect to shop
✓ let readers use 2 schemas: sales, stock
✓ let readers read 2 tables and 1 view in sales, stock
✓ let readers read 2 sequences in sales, stock
✓ let readers read tables, sequences and schemas that app_owner, migrator make anywhere in shop, from now on
9 changes applied.
Nothing was proved, because the spec has no [replica].
To undo it: psql -f replica-access.undo-TIME.sql
"""

NOTHING = """\
Pending
  … database later: no such database yet; readers gets its grants there at the next run
  … exclusion shop: public: a new schema that fits is readable by default, until a run with --allow-revoke closes it

Nothing to do, 2 pending.
"""


def test_a_run_from_check_to_an_empty_plan(shop: Shop) -> None:
    shop.sql("DROP SCHEMA public")
    try:
        shop.declare('exclude = ["public"]', databases='["shop", "later"]')
        assert printed(shop, "check") == CHECK
        assert printed(shop, "plan", "-v") == PLAN
        assert printed(shop, "apply", "--yes") == APPLIED
        assert printed(shop, "plan") == NOTHING
    finally:
        shop.sql("CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC")


def printed(shop: Shop, *command: str) -> str:
    ran = shop.run(*command)
    assert ran.status == 0, ran
    masked = re.sub(r"PostgreSQL [\d.]+", "PostgreSQL VERSION", ran.out)
    return re.sub(r"undo-\w+", "undo-TIME", masked)
