"""What creators make next, tried out for real and taken back: who reads it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from replica_access.postgres.statements import qualified, quoted

from .oracle import Held
from .wishes import Rule, Wish

MOST = 24
"""Objects tried in a database: more would only cost time."""


@dataclass(frozen=True, slots=True)
class Tomorrow:
    """Something that `creator` makes, in a schema that is there or, else, is made with it.

    :param kind: TABLE, SEQUENCE or FUNCTION.
    """

    creator: str
    schema: str
    name: str
    new_schema: bool = False
    kind: str = "TABLE"

    def sql(self, database: str) -> Iterator[str]:
        creator, schema = quoted(self.creator), quoted(self.schema)
        if self.new_schema:
            yield f"GRANT CREATE ON DATABASE {quoted(database)} TO {creator}"
        else:
            yield f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {creator}"
        yield f"SET SESSION AUTHORIZATION {creator}"
        if self.new_schema:
            yield f"CREATE SCHEMA {schema}"
        name = qualified(self.schema, self.name)
        what = {"TABLE": "(id int)", "SEQUENCE": "", "FUNCTION": "() RETURNS int LANGUAGE sql AS $$SELECT 1$$"}
        yield f"CREATE {self.kind} {name} {what[self.kind]}"
        yield "RESET SESSION AUTHORIZATION"


def covered(
    rule: Rule, makers: Mapping[str, set[str]], schemas: Iterable[str], existing: set[str]
) -> dict[str, set[str]]:
    """Return by schema whose next objects `rule` covers; under the empty name, whose next schemas.

    :param makers: who makes objects in each schema, by evidence.
    :param existing: the roles that exist: a creator that is named may not.
    """
    wanted = [schema for schema in schemas if rule.wants_schema(schema)]
    if rule.creators is not None:
        named = set(rule.creators) & existing
        return dict.fromkeys(wanted, named) | ({"": named} if rule.everywhere else {})
    if not rule.everywhere:
        return {schema: makers.get(schema, set()) for schema in wanted}
    everyone = set().union(makers.get("", set()), *(makers.get(schema, set()) for schema in wanted))
    return dict.fromkeys(("", *wanted), everyone)


def tomorrows(creators: Iterable[str], schemas: Iterable[str]) -> list[Tomorrow]:
    """Return what is tried: every creator in every schema, and in a new one."""
    found = []
    for number, creator in enumerate(sorted(creators)):
        found.append(Tomorrow(creator, f"future {number}", "first", new_schema=True))
        for schema in sorted(schemas):
            name = f"{'secret_' if len(found) % 3 == 0 else ''}future {len(found)}"
            kind = ("SEQUENCE", "TABLE", "FUNCTION", "TABLE")[len(found) % 4]
            found.append(Tomorrow(creator, schema, name, kind=kind))
    return found[:MOST]


def readable(
    connection: psycopg.Connection[Any], database: str, made: Iterable[Tomorrow], readers: Iterable[str]
) -> set[tuple[str, Tomorrow]]:
    """Make it all, in the transaction that `connection` is in, and return who reads what of it."""
    by_name = {(thing.schema, thing.name): thing for thing in made}
    connection.execute(";\n".join(line for thing in by_name.values() for line in thing.sql(database)).encode())
    rows = connection.execute(
        b"""
        SELECT r.rolname, n.nspname, c.relname
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
         WHERE c.relname = ANY (%(names)s) AND r.rolname = ANY (%(readers)s)
           AND has_schema_privilege(r.oid, n.oid, 'USAGE')
           AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(r.oid, c.oid, 'SELECT')
                              ELSE has_table_privilege(r.oid, c.oid, 'SELECT') END
         UNION ALL
        SELECT r.rolname, n.nspname, p.proname
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, pg_roles r
         WHERE p.proname = ANY (%(names)s) AND r.rolname = ANY (%(readers)s)
           AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
        """,
        {"names": [name for _, name in by_name], "readers": sorted(readers)},
    )
    return {(reader, by_name[schema, name]) for reader, schema, name in rows if (schema, name) in by_name}


def expected(
    wish: Wish, database: str, made: Iterable[Tomorrow], makers: Mapping[str, set[str]], schemas: Iterable[str],
    existing: set[str],
) -> set[tuple[str, Tomorrow]]:  # fmt: skip
    """Return who should read what of `made`."""
    found = set()
    for rule in wish.rules_in(database):
        by_schema = covered(rule, makers, schemas, existing) if rule.future else {}
        found |= {
            (rule.to, thing)
            for thing in made
            if thing.creator in by_schema.get("" if thing.new_schema else thing.schema, ())
            and rule.wants_relation(thing.schema, thing.name)
            and (rule.execute or thing.kind != "FUNCTION")
        }
    return found


def keeps(rule: Rule, held: Held) -> bool:
    """Whether `rule` lets its reader keep a default privilege that it was granted, grant options left out."""
    privilege = {"r": "SELECT", "S": "SELECT", "n": "USAGE", "f": "EXECUTE", "T": "USAGE"}[held.detail]
    return (
        held.privilege == privilege
        and rule.future
        and (rule.creators is None or held.name in rule.creators)
        and (rule.execute or held.detail not in "fT")
        and (rule.wants_schema(held.schema) if held.schema else rule.everywhere)
    )
