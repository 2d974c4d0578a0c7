"""floor.py DSN READER [--look]: the least a Python program can do for the benchmark's task. A yardstick, no tool.

One connection, no lock, no timeouts, no plan to look at, no undo, nothing taken away. It asks what READER lacks in the
schemas sch_*, grants that by explicit lists in one transaction, as an admin that is no superuser, and asks again.
"""

import sys
from itertools import groupby

import psycopg

CHUNK = 1000
LACKING = """
WITH RECURSIVE holders AS (
  SELECT %(reader)s::regrole::oid AS oid
   UNION
  SELECT m.roleid FROM holders h JOIN pg_auth_members m ON m.member = h.oid JOIN pg_roles r ON r.oid = h.oid
   WHERE r.rolinherit
), schemas AS (
  SELECT oid, quote_ident(nspname) AS name FROM pg_namespace WHERE nspname LIKE 'sch\\_%%'
)
SELECT 'USAGE ON SCHEMA' AS what, name
  FROM schemas
 WHERE NOT has_schema_privilege(%(reader)s, oid, 'USAGE')
 UNION ALL
SELECT CASE c.relkind WHEN 'S' THEN 'SELECT ON SEQUENCE' ELSE 'SELECT ON TABLE' END,
       s.name || '.' || quote_ident(c.relname)
  FROM schemas s JOIN pg_class c ON c.relnamespace = s.oid
 WHERE CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(%(reader)s, c.oid, 'SELECT')
            WHEN c.relkind IN ('r', 'p', 'v', 'm', 'f') THEN NOT has_table_privilege(%(reader)s, c.oid, 'SELECT') END
 UNION ALL
SELECT quote_ident(r.rolname) || ' ' || k.name, s.name
  FROM pg_roles r, schemas s, (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES')) AS k (letter, name)
 WHERE r.rolname LIKE 'creator\\_%%'
   AND NOT EXISTS (
     SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
      WHERE d.defaclrole = r.oid AND d.defaclnamespace = s.oid AND d.defaclobjtype = k.letter::"char"
        AND a.privilege_type = 'SELECT' AND a.grantee IN (SELECT oid FROM holders))
"""
CREATORS = "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname LIKE 'creator\\_%'"


def main(dsn: str, reader: str, look: str = "") -> None:
    with psycopg.connect(dsn) as connection:
        lacking = connection.execute(LACKING, {"reader": reader}).fetchall()
        if look or not lacking:
            return
        ((creators,),) = connection.execute(CREATORS).fetchall()
        connection.execute(f"GRANT {creators} TO CURRENT_USER".encode())
        for what, rows in groupby(sorted(lacking), lambda row: row[0]):
            names = [name for _, name in rows]
            for start in range(0, len(names), CHUNK):
                listed = ", ".join(names[start : start + CHUNK])
                connection.execute(statement(what, listed, reader).encode())
        connection.execute(f"REVOKE {creators} FROM CURRENT_USER".encode())
        connection.commit()
        assert not connection.execute(LACKING, {"reader": reader}).fetchall()


def statement(what: str, listed: str, reader: str) -> str:
    if " ON " in what:
        return f"GRANT {what} {listed} TO {reader}"
    creator, kind = what.rsplit(maxsplit=1)
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {creator} IN SCHEMA {listed} GRANT SELECT ON {kind} TO {reader}"


if __name__ == "__main__":
    main(*sys.argv[1:])
