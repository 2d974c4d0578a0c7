"""What the server answers when it is asked for everything: every role, object and privilege, a query a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg


class Place(NamedTuple):
    """An object as `Rights` knows it; `column` for columns alone."""

    kind: str
    schema: str
    name: str
    column: str = ""


class Asked(NamedTuple):
    place: Place
    privilege: str
    grantable: bool


# Whether somebody holds it is asked for every role; `{}` is the call. What came with the server is many and alike: a
# tenth of that is asked, whichever it is this time, and whatever somebody changed.
_ASKED = """
SELECT o.kind, o.schema, o.name, o.col, p.privilege, g.grantable,
       array_agg(r.oid::bigint) FILTER (WHERE {})
  FROM ({}) AS o
 CROSS JOIN unnest(%(privileges)s::text[]) AS p (privilege)
 CROSS JOIN (VALUES (false, ''), (true, ' WITH GRANT OPTION')) AS g (grantable, words)
 CROSS JOIN pg_catalog.pg_roles r
 GROUP BY 1, 2, 3, 4, 5, 6
"""

_SAMPLED = "({0}.oid >= 16384 OR {0}.oid::bigint %% 10 = %(tenth)s OR {1})"

_RELATIONS = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'relation' END AS kind, n.nspname AS schema, c.relname AS name,
       ''::name AS col, c.oid
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = ANY (%(kinds)s) AND {_SAMPLED.format("c", "c.relname IN ('pg_authid', 'pg_class')")}
"""
_COLUMNS = f"""
SELECT 'column' AS kind, n.nspname AS schema, c.relname AS name, a.attname AS col, c.oid, a.attnum
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (a.attacl IS NOT NULL OR {_SAMPLED.format("c", "false")} AND c.oid >= 16384)
"""
_ROUTINES = """
SELECT 'routine' AS kind, n.nspname AS schema,
       quote_ident(f.proname) || '(' || oidvectortypes(f.proargtypes) || ')' AS name, ''::name AS col, f.oid
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE f.oid >= 16384 OR f.proacl IS NOT NULL
"""
_TYPES = """
SELECT 'type' AS kind, n.nspname AS schema, t.typname AS name, ''::name AS col, t.oid
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.oid >= 16384 AND (t.typtype IN ('b', 'e', 'r') AND t.typcategory <> 'A' OR t.typtype = 'd')
    OR t.typacl IS NOT NULL
"""


def _named(kind: str, catalog: str, name: str) -> str:
    return f"SELECT '{kind}' AS kind, ''::name AS schema, {name} AS name, ''::name AS col, oid FROM {catalog}"


_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_WORDS = "p.privilege || g.words"


class Question(NamedTuple):
    objects: str
    call: str
    privileges: tuple[str, ...]
    since: int = 0


QUESTIONS = (
    Question(_RELATIONS, f"has_table_privilege(r.oid, o.oid, {_WORDS})", _TABLE),
    Question(_RELATIONS, f"has_table_privilege(r.oid, o.oid, {_WORDS})", ("MAINTAIN",), 17),
    Question(_RELATIONS, f"has_sequence_privilege(r.oid, o.oid, {_WORDS})", ("SELECT", "UPDATE", "USAGE")),
    Question(
        _COLUMNS,
        f"has_column_privilege(r.oid, o.oid, o.attnum, {_WORDS})",
        ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    ),
    Question(_ROUTINES, f"has_function_privilege(r.oid, o.oid, {_WORDS})", ("EXECUTE",)),
    Question(_TYPES, f"has_type_privilege(r.oid, o.oid, {_WORDS})", ("USAGE",)),
    Question(
        _named("schema", "pg_namespace", "nspname") + " WHERE nspname !~ '^pg_(toast_)?temp_'",
        f"has_schema_privilege(r.oid, o.oid, {_WORDS})",
        ("USAGE", "CREATE"),
    ),
    Question(
        _named("database", "pg_database", "datname"),
        f"has_database_privilege(r.oid, o.oid, {_WORDS})",
        ("CONNECT", "CREATE", "TEMPORARY"),
    ),
    Question(
        _named("tablespace", "pg_tablespace", "spcname"),
        f"has_tablespace_privilege(r.oid, o.oid, {_WORDS})",
        ("CREATE",),
    ),
    Question(
        _named("language", "pg_language", "lanname"), f"has_language_privilege(r.oid, o.oid, {_WORDS})", ("USAGE",)
    ),
    Question(
        _named("foreign data wrapper", "pg_foreign_data_wrapper", "fdwname"),
        f"has_foreign_data_wrapper_privilege(r.oid, o.oid, {_WORDS})",
        ("USAGE",),
    ),
    Question(
        _named("foreign server", "pg_foreign_server", "srvname"),
        f"has_server_privilege(r.oid, o.oid, {_WORDS})",
        ("USAGE",),
    ),
    Question(
        _named("parameter", "pg_parameter_acl", "parname"),
        f"has_parameter_privilege(r.oid, o.name, {_WORDS})",
        ("SET", "ALTER SYSTEM"),
        15,
    ),
    Question(
        _named("large object", "pg_largeobject_metadata", "oid::text"),
        f"has_largeobject_privilege(r.oid, o.oid, {_WORDS})",
        ("SELECT", "UPDATE"),
        18,
    ),
)


def answers(connection: psycopg.Connection[Any], major: int, tenth: int) -> Iterator[tuple[Asked, frozenset[int]]]:
    """Yield, of every object and privilege, the oids of the roles that hold it."""
    for question in QUESTIONS:
        if major < question.since:
            continue
        kinds = ["S"] if "has_sequence" in question.call else ["r", "p", "v", "m", "f", "S"]
        parameters = {"privileges": list(question.privileges), "tenth": tenth, "kinds": kinds}
        query = _ASKED.format(question.call, question.objects)
        for kind, schema, name, column, privilege, grantable, holders in connection.execute(query.encode(), parameters):
            yield Asked(Place(kind, schema, name, column), privilege, grantable), frozenset(holders or ())


_ROLES = """
SELECT a.oid::bigint, {}
  FROM pg_roles a CROSS JOIN pg_roles b
 GROUP BY a.oid
"""


def roles(connection: psycopg.Connection[Any], major: int) -> Mapping[int, Sequence[frozenset[int]]]:
    """Return by role whose privileges it has, whom it can SET ROLE to, whom it is a member of, whom it administers."""
    asked = ("USAGE", "SET" if major >= 16 else "MEMBER", "MEMBER", "MEMBER WITH ADMIN OPTION")
    columns = ", ".join(f"array_agg(b.oid::bigint) FILTER (WHERE pg_has_role(a.oid, b.oid, '{a}'))" for a in asked)
    rows = connection.execute(_ROLES.format(columns).encode())
    return {role: [frozenset(found or ()) for found in several] for role, *several in rows}
