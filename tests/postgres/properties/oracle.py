"""The server's own answers: who can do what, what its catalogs hold, and whether it would have let the admin act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from replica_access.postgres.statements import quoted

from .worlds import COLUMNS

SELECT_COLUMN = {column: f"SELECT ({column if column.isalpha() else quoted(column)})" for column in COLUMNS}
"""How the right to read one column is named here."""

Connection = psycopg.Connection[tuple[Any, ...]]


class Thing(NamedTuple):
    """A database (both other parts empty), a schema (`relation` empty), or a relation; `kind` as in pg_class."""

    kind: str
    schema: str = ""
    relation: str = ""


class Right(NamedTuple):
    role: str
    thing: Thing
    privilege: str


RIGHTS = """
WITH who AS (
  SELECT r.oid, r.rolname AS name FROM pg_roles r WHERE r.rolname = ANY (%(roles)s) AND NOT r.rolsuper
  UNION ALL SELECT 0::oid, ''
), relation AS (
  SELECT c.oid, c.relkind::text AS kind, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT who.name, 'database', '', '', p
  FROM who, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p
 WHERE has_database_privilege(who.oid, current_database(), p)
UNION ALL
SELECT who.name, 'schema', n.nspname, '', p
  FROM who, pg_namespace n, unnest(ARRAY['USAGE', 'CREATE']) p
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(who.oid, n.oid, p)
UNION ALL
SELECT who.name, c.kind, c.nspname, c.relname, p
  FROM who, relation c,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
 WHERE c.kind <> 'S' AND has_table_privilege(who.oid, c.oid, p)
UNION ALL
SELECT who.name, c.kind, c.nspname, c.relname, p
  FROM who, relation c, unnest(ARRAY['SELECT', 'USAGE', 'UPDATE']) p
 WHERE c.kind = 'S' AND has_sequence_privilege(who.oid, c.oid, p)
UNION ALL
SELECT who.name, 'function', n.nspname, p.proname, 'EXECUTE'
  FROM who, pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_function_privilege(who.oid, p.oid, 'EXECUTE')
UNION ALL
SELECT who.name, 'type', n.nspname, t.typname, 'USAGE'
  FROM who, pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype = 'e'
   AND has_type_privilege(who.oid, t.oid, 'USAGE')
UNION ALL
SELECT who.name, c.kind, c.nspname, c.relname, format('SELECT (%%s)', quote_ident(a.attname))
  FROM who, relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.kind <> 'S' AND has_column_privilege(who.oid, c.oid, a.attnum, 'SELECT')
"""

THINGS = """
SELECT 'schema', n.nspname, '' FROM pg_namespace n
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT c.relkind::text, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'function', n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'type', n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype = 'e'
"""

REACH = """
SELECT r.rolname, q.rolname FROM pg_roles r, pg_roles q
 WHERE r.rolname = ANY (%(roles)s) AND NOT r.rolsuper AND pg_has_role(r.oid, q.oid, 'USAGE')
"""

# Who makes objects in a schema, in the words of diff_future: owners of its relations, its owner, and whoever holds
# CREATE, directly or through groups, PUBLIC left out; never superusers, nor roles of the system.
CREATORS = """
WITH holder AS (
  SELECT n.nspname AS schema, n.nspowner AS role FROM pg_namespace n
  UNION SELECT n.nspname, a.grantee
          FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
         WHERE a.privilege_type = 'CREATE'
  UNION SELECT '', a.grantee
          FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
         WHERE d.datname = current_database() AND a.privilege_type = 'CREATE'
)
SELECT h.schema, r.rolname
  FROM holder h JOIN pg_roles r ON h.role <> 0 AND pg_has_role(r.oid, h.role, 'USAGE')
 WHERE NOT r.rolsuper AND r.rolname !~ '^(pg_|rds)'
UNION
SELECT n.nspname, r.rolname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT r.rolsuper AND r.rolname !~ '^(pg_|rds)'
"""

# One row for each entry of an ACL; one that is NULL says what acldefault says. Of default privileges, what differs from
# the built-in ones. What changes in the system's own schemas, changed_catalogs tells.
ACLS = """
WITH schema AS (
  SELECT * FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'
), item (catalog, object, acl) AS (
  SELECT 'pg_namespace', n.nspname::text, coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM schema n
  UNION ALL
  SELECT 'pg_class', c.oid::text,
         coalesce(c.relacl, acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", c.relowner))
    FROM pg_class c JOIN schema n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'pg_attribute', a.attrelid || '.' || a.attnum, a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN schema n ON n.oid = c.relnamespace
   WHERE a.attacl IS NOT NULL
  UNION ALL
  SELECT 'pg_proc', p.oid::text, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc p JOIN schema n ON n.oid = p.pronamespace
  UNION ALL
  SELECT 'pg_type', t.oid::text, coalesce(t.typacl, acldefault('T', t.typowner))
    FROM pg_type t JOIN schema n ON n.oid = t.typnamespace
   WHERE t.typtype = 'e'
  UNION ALL
  SELECT 'pg_default_acl',
         format('%s in %s of %s', d.defaclobjtype, d.defaclnamespace, pg_get_userbyid(d.defaclrole)),
         d.defaclacl
    FROM pg_default_acl d
)
SELECT catalog, object, coalesce(grantee.rolname, ''), a.privilege_type,
       format('%s by %s', a.is_grantable, coalesce(grantor.rolname, a.grantor::text))
  FROM item, aclexplode(acl) a
  LEFT JOIN pg_roles grantee ON grantee.oid = a.grantee
  LEFT JOIN pg_roles grantor ON grantor.oid = a.grantor
 WHERE NOT (catalog = 'pg_default_acl' AND object LIKE '% in 0 of %' AND a.grantee = a.grantor)
   AND NOT (catalog = 'pg_default_acl' AND a.grantee = 0 AND NOT a.is_grantable
            AND (object LIKE 'f in 0 of %' AND a.privilege_type = 'EXECUTE'
                 OR object LIKE 'T in 0 of %' AND a.privilege_type = 'USAGE'))
"""

# Defaults anywhere start from the owner's own rights, and PUBLIC's on functions and types: what of them was taken away.
LOST_DEFAULTS = """
SELECT 'pg_default_acl', format('%s in 0 of %s', d.defaclobjtype, r.rolname), coalesce(g.rolname, ''), b.privilege_type,
       'taken away'
  FROM pg_default_acl d
  JOIN pg_roles r ON r.oid = d.defaclrole,
       aclexplode(acldefault((CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END)::"char", r.oid)) b
  LEFT JOIN pg_roles g ON g.oid = b.grantee
 WHERE d.defaclnamespace = 0
   AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a
                    WHERE a.grantee = b.grantee AND a.privilege_type = b.privilege_type)
"""

# Before PostgreSQL 16 nothing depends on who granted a membership, and only a superuser can say who it was.
SHARED = """
SELECT 'pg_database', d.datname::text, coalesce(r.rolname, ''), a.privilege_type,
       format('%s by %s', a.is_grantable, g.rolname)
  FROM pg_database d
 CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
  LEFT JOIN pg_roles g ON g.oid = a.grantor
UNION ALL
SELECT 'pg_auth_members', r.rolname::text, m.rolname,
       CASE WHEN current_setting('server_version_num')::int >= 160000 THEN g.rolname ELSE '' END,
       (to_jsonb(am) - ARRAY['oid', 'roleid', 'member', 'grantor'])::text
  FROM pg_auth_members am
  JOIN pg_roles r ON r.oid = am.roleid JOIN pg_roles m ON m.oid = am.member JOIN pg_roles g ON g.oid = am.grantor
UNION ALL
SELECT 'pg_authid', r.rolname::text, '', '', (to_jsonb(r) - ARRAY['oid', 'rolvaliduntil', 'rolpassword'])::text
       || CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil::text ELSE '' END
       || coalesce(a.rolpassword, '') || coalesce(shobj_description(r.oid, 'pg_authid'), '')
  FROM pg_roles r JOIN pg_authid a USING (oid)
"""

# All that some roles were granted directly, with the names of the things; what an owner has of its own is left out.
HELD = """
WITH schema AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'),
item (kind, schema, name, detail, owner, acl) AS (
  SELECT 'schema', n.nspname::text, '', '', n.nspowner, n.nspacl FROM schema n
  UNION ALL
  SELECT c.relkind::text, n.nspname::text, c.relname::text, '', c.relowner, c.relacl
    FROM pg_class c JOIN schema n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'column', n.nspname::text, c.relname::text, a.attname::text, c.relowner, a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN schema n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'function', n.nspname::text, p.proname::text, '', p.proowner, p.proacl
    FROM pg_proc p JOIN schema n ON n.oid = p.pronamespace
  UNION ALL
  SELECT 'type', n.nspname::text, t.typname::text, '', t.typowner, t.typacl
    FROM pg_type t JOIN schema n ON n.oid = t.typnamespace
  UNION ALL
  SELECT 'default', coalesce(n.nspname, '')::text, pg_get_userbyid(d.defaclrole)::text, d.defaclobjtype::text,
         d.defaclrole, d.defaclacl
    FROM pg_default_acl d LEFT JOIN schema n ON n.oid = d.defaclnamespace
  UNION ALL
  SELECT 'database', '', '', '', d.datdba, d.datacl FROM pg_database d WHERE d.datname = current_database()
)
SELECT r.rolname, i.kind, i.schema, i.name, i.detail, a.privilege_type, a.is_grantable
  FROM item i, aclexplode(i.acl) a JOIN pg_roles r ON r.oid = a.grantee
 WHERE r.rolname = ANY (%(roles)s) AND NOT r.rolsuper AND a.grantee <> i.owner
"""


class Held(NamedTuple):
    """`detail`: the column; of a default privilege, the kind of object, with the creator as its name."""

    role: str
    kind: str
    schema: str
    name: str
    detail: str
    privilege: str
    grantable: bool


def held(connection: Connection, roles: Iterable[str]) -> frozenset[Held]:
    """Return all that `roles` were granted directly in the database of `connection`."""
    return frozenset(Held(*row) for row in connection.execute(HELD.encode(), {"roles": sorted(roles)}))


Entry = tuple[str, str, str, str, str]
"""catalog, object, grantee (or member), privilege (or grantor), the rest."""


def rights(connection: Connection, roles: Iterable[str]) -> frozenset[Right]:
    """Return all that `roles`, and PUBLIC, can do in the database of `connection`; superusers are left out."""
    rows = connection.execute(RIGHTS.encode(), {"roles": sorted(roles)}).fetchall()
    return frozenset(Right(role, Thing(kind, schema, name), right) for role, kind, schema, name, right in rows)


def things(connection: Connection) -> frozenset[Thing]:
    return frozenset(Thing(*row) for row in connection.execute(THINGS))


def reach(connection: Connection, roles: Iterable[str]) -> dict[str, set[str]]:
    """Return for each role those whose rights it has without SET ROLE, itself included."""
    found: dict[str, set[str]] = {}
    for role, reached in connection.execute(REACH.encode(), {"roles": sorted(roles)}):
        found.setdefault(role, set()).add(reached)
    return found


def memberships(connection: Connection) -> set[tuple[str, str]]:
    """Return who is in which role: (member, role)."""
    rows = connection.execute(b"SELECT pg_get_userbyid(member), pg_get_userbyid(roleid) FROM pg_auth_members")
    return {(member, role) for member, role in rows}


def creators(connection: Connection) -> dict[str, set[str]]:
    """Return by schema who makes objects in it; under the empty name, who may make schemas."""
    found: dict[str, set[str]] = {}
    for schema, role in connection.execute(CREATORS):
        found.setdefault(schema, set()).add(role)
    return found


def entries(connection: Connection) -> frozenset[Entry]:
    """Return every ACL of the database of `connection`, entry by entry."""
    found: frozenset[Entry] = frozenset(connection.execute(f"{ACLS} UNION ALL {LOST_DEFAULTS}".encode()))
    return found


def shared_entries(connection: Connection) -> frozenset[Entry]:
    """Return roles, memberships and the ACLs of databases, row by row and entry by entry."""
    found: frozenset[Entry] = frozenset(connection.execute(SHARED))
    return found


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Try something out: nothing of it is kept."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


OWNERS = """
WITH thing (owner, schema) AS (
  SELECT d.datdba, NULL::oid FROM pg_database d WHERE %(kind)s = 'database' AND d.datname = current_database()
  UNION ALL
  SELECT n.nspowner, NULL FROM pg_namespace n WHERE %(kind)s = 'schema' AND n.nspname = %(schema)s
  UNION ALL
  SELECT c.relowner, n.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind::text = %(kind)s AND n.nspname = %(schema)s AND c.relname = %(relation)s
  UNION ALL
  SELECT p.proowner, n.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE %(kind)s = 'function' AND n.nspname = %(schema)s AND p.proname = %(relation)s
  UNION ALL
  SELECT t.typowner, n.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE %(kind)s = 'type' AND n.nspname = %(schema)s AND t.typname = %(relation)s
)
SELECT pg_get_userbyid(t.owner), o.rolname, s.rolname, t.schema
  FROM thing t
  JOIN pg_database d ON d.datname = current_database()
  LEFT JOIN pg_namespace n ON n.oid = t.schema
  JOIN pg_roles o ON o.oid = CASE t.owner WHEN 'pg_database_owner'::regrole THEN d.datdba ELSE t.owner END
  LEFT JOIN pg_roles s ON s.oid = CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN d.datdba ELSE n.nspowner END
"""


def may_act_for(connection: Connection, thing: Thing, major: int) -> bool:
    """Whether the server would let the admin act as the owner of `thing`, and name it."""
    option = " WITH INHERIT TRUE, SET FALSE" if major >= 16 else ""
    ((owner, joined, joined_for_schema, schema),) = connection.execute(OWNERS.encode(), thing._asdict()).fetchall()
    with undone(connection):
        _join(connection, joined, option)
        acts = _yes(connection, b"SELECT pg_has_role(%(owner)s::name, 'USAGE')", owner=owner)
        if not acts or schema is None:
            return acts
        _join(connection, joined_for_schema, option)
        return _yes(connection, b"SELECT has_schema_privilege(%(schema)s::oid, 'USAGE')", schema=schema)


def _join(connection: Connection, role: str, option: str) -> None:
    connection.execute("SAVEPOINT joining")
    try:
        connection.execute(f"GRANT {quoted(role)} TO CURRENT_USER{option}".encode())
    except psycopg.Error:
        connection.execute("ROLLBACK TO joining")


def _yes(connection: Connection, query: bytes, **parameters: Any) -> bool:
    row = connection.execute(query, parameters).fetchone()
    return row is not None and bool(row[0])


def transactions(connection: Connection) -> int:
    """Return how many transactions have written something since the server was made."""
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    return int(row[0])


def changed_catalogs(connection: Connection, since: int) -> set[str]:
    """Return the system catalogs with rows that a transaction from `since` on has written."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace"
        " AND relname NOT IN ('pg_statistic', 'pg_largeobject')"
    ).fetchall()
    selects = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM pg_catalog.{name} WHERE xmin::text::bigint >= {since})"
               for (name,) in rows]  # fmt: skip
    return {name for (name,) in connection.execute(" UNION ALL ".join(selects).encode())}
