"""What the catalogs of a server say, by names and in order, so that two moments, or two runs, can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import psycopg
from psycopg import conninfo

CLUSTER = """
SELECT format('role %I %s %s %s', rolname, to_jsonb(a) - '{oid,rolname,rolpassword}'::text[],
              CASE WHEN rolpassword IS NULL THEN 'without' ELSE 'with' END || ' a password',
              shobj_description(oid, 'pg_authid'))
  FROM pg_authid a
UNION ALL
SELECT format('%s in %s by %s %s', member::regrole, roleid::regrole, grantor::regrole,
              to_jsonb(m) - '{oid,roleid,member,grantor}'::text[])
  FROM pg_auth_members m
UNION ALL
SELECT format('database %I of %s', datname, datdba::regrole) FROM pg_database
UNION ALL
SELECT format('database %I: %s', datname, item)
  FROM pg_database, unnest(COALESCE(datacl, acldefault('d', datdba))) AS item
UNION ALL
SELECT format('setting of %s in %s: %s', setrole::regrole, setdatabase, setconfig) FROM pg_db_role_setting
"""

# An ACL that was never touched is shown as what it stands for: who grants and revokes leaves it spelled out.
DATABASE = """
SELECT format('schema %I: %s', nspname, item)
  FROM pg_namespace, unnest(COALESCE(nspacl, acldefault('n', nspowner))) AS item
UNION ALL
SELECT format('relation %s: %s', oid::regclass, item)
  FROM pg_class,
       unnest(COALESCE(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))) AS item
 WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT format('column %s.%I: %s', attrelid::regclass, attname, item) FROM pg_attribute, unnest(attacl) AS item
UNION ALL
SELECT format('%s %s: %s', kind, name, item)
  FROM (SELECT 'routine' AS kind, oid::regprocedure::text AS name, COALESCE(proacl, acldefault('f', proowner)) AS acl
          FROM pg_proc
         UNION ALL
        SELECT 'type', oid::regtype::text, COALESCE(typacl, acldefault('T', typowner)) FROM pg_type
         UNION ALL
        SELECT 'language', lanname, COALESCE(lanacl, acldefault('l', lanowner)) FROM pg_language
         UNION ALL
        SELECT 'server', srvname, COALESCE(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
         UNION ALL
        SELECT 'wrapper', fdwname, COALESCE(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper
         UNION ALL
        SELECT 'large object', oid::text, COALESCE(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata
       ) AS others, unnest(acl) AS item
UNION ALL
SELECT format('default of %s in %s on %s: %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, item)
  FROM pg_default_acl, unnest(defaclacl) AS item
"""

VERIFIERS = "SELECT format('verifier of %I: %s', rolname, rolpassword) FROM pg_authid WHERE rolpassword IS NOT NULL"


def facts(superuser: Mapping[str, str], *, verifiers: bool = False) -> list[str]:
    """Return everything about roles and privileges on the server, a line a fact.

    :param superuser: libpq parameters of the superuser, without a database.
    :param verifiers: passwords too, as the server keeps them: the same moment after moment, but in no two runs.
    """
    found = [
        f"shared: {fact}" for fact in _ask(superuser, "postgres", CLUSTER + ("UNION ALL " + VERIFIERS) * verifiers)
    ]
    for database in _ask(superuser, "postgres", "SELECT datname FROM pg_database WHERE datallowconn"):
        found += [f"{database}: {fact}" for fact in _ask(superuser, database, DATABASE)]
    return sorted(found)


def _ask(superuser: Mapping[str, str], database: str, query: str) -> Iterator[str]:
    # Bytes as they are: a database may hold some that no encoding explains.
    options = "-c client_encoding=SQL_ASCII -c search_path="
    where = conninfo.make_conninfo("", **superuser, dbname=database, options=options)
    with psycopg.connect(where) as connection:
        for (fact,) in connection.execute(query.encode()):
            yield fact if isinstance(fact, str) else fact.decode("utf-8", "backslashreplace")
