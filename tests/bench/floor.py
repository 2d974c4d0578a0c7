"""floor.py DSN READER: the least a Python program can do for the benchmark's task. A yardstick, no tool.

One connection as a superuser, no lock, no timeouts, no plan to look at, no undo, no names that need quoting. It asks
what READER lacks in the schemas sch_*, grants that by explicit lists in one transaction, and asks again.
"""

import sys
from itertools import groupby

import psycopg

CHUNK = 1000
LACKING = """
WITH reader AS (SELECT %(reader)s::regrole::oid AS oid),
     schemas AS (SELECT * FROM pg_namespace WHERE nspname LIKE 'sch\\_%%')
SELECT 'USAGE ON SCHEMA' AS what, nspname AS name
  FROM schemas, reader
 WHERE NOT coalesce(nspacl @> makeaclitem(reader.oid, nspowner, 'USAGE', false), false)
UNION ALL
SELECT CASE relkind WHEN 'S' THEN 'SELECT ON SEQUENCE' ELSE 'SELECT ON TABLE' END, nspname || '.' || relname
  FROM schemas JOIN pg_class ON relnamespace = schemas.oid, reader
 WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT coalesce(relacl @> makeaclitem(reader.oid, relowner, 'SELECT', false), false)
UNION ALL
SELECT rolname || ' ' || kinds.name, nspname
  FROM schemas, reader, pg_roles, (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES')) AS kinds (letter, name)
 WHERE rolname LIKE 'creator\\_%%'
   AND NOT EXISTS (
     SELECT FROM pg_default_acl
      WHERE defaclrole = pg_roles.oid AND defaclnamespace = schemas.oid AND defaclobjtype = kinds.letter::"char"
        AND defaclacl @> makeaclitem(reader.oid, pg_roles.oid, 'SELECT', false))
 ORDER BY 1, 2
"""


def main(dsn: str, reader: str) -> None:
    with psycopg.connect(dsn) as connection:
        if connection.execute("SELECT to_regrole(%s)", [reader]).fetchone() == (None,):
            connection.execute(f"CREATE ROLE {reader}".encode())
            connection.execute(f"GRANT CONNECT ON DATABASE {connection.info.dbname} TO {reader}".encode())
        lacking = connection.execute(LACKING, {"reader": reader}).fetchall()
        for what, rows in groupby(lacking, lambda row: row[0]):
            names = [name for _, name in rows]
            for start in range(0, len(names), CHUNK):
                listed = ", ".join(names[start : start + CHUNK])
                connection.execute(statement(what, listed, reader).encode())
        if lacking:
            connection.commit()
            assert not connection.execute(LACKING, {"reader": reader}).fetchall()


def statement(what: str, listed: str, reader: str) -> str:
    if " ON " in what:
        return f"GRANT {what} {listed} TO {reader}"
    creator, kind = what.split()
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {creator} IN SCHEMA {listed} GRANT SELECT ON {kind} TO {reader}"


if __name__ == "__main__":
    main(*sys.argv[1:])
