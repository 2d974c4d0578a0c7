"""Read what decides whether one role may do something with one object: a handful of look-ups by index.

What comes back is a part of what ``audit_catalog`` reads, in the same values, so that the same code computes on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.rows import namedtuple_row

from replica_access.errors import UsageError
from replica_access.names import legible, shown
from replica_access.postgres.audit_catalog import (
    PARAMETERS_SINCE,
    memberships,
    objects_of,
    parts_of,
    place_of,
    policy_of,
    role,
    views_of,
)
from replica_access.postgres.connect import database_error, first_line
from replica_access.postgres.queries import load
from replica_access.rights import Objects, Rights


class Named(Protocol):
    """The object that is looked for, as ``audit.spelling`` has read it."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def arguments(self) -> Sequence[str] | None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One role and one object, with all that decides about them.

    :param objects: what `name` is one of; for a column without an ACL of its own, a column with none.
    """

    rights: Rights
    role: int
    objects: Objects
    name: str


def look_up(connection: psycopg.Connection[Any], role_name: str, named: Named) -> Found:
    """Look `named` up in the database that `connection` is in.

    :raises UsageError: there is no such role or object.
    :raises DatabaseError: a query failed.
    """
    try:
        with connection.transaction():
            return _Lookup(connection).run(role_name, named)
    except psycopg.Error as error:
        raise database_error(error, f"Looking {legible(named.name)} up") from error


@dataclass(frozen=True, slots=True)
class _There:
    """A row of ``why_object``."""

    kind: str
    oid: int
    catalog: str
    schema: int | None
    schema_name: str
    name: str
    reads: list[int]


_SHARED = frozenset({"pg_catalog.pg_database", "pg_catalog.pg_tablespace"})


@dataclass(frozen=True, slots=True)
class _Lookup:
    connection: psycopg.Connection[Any]

    def run(self, role_name: str, named: Named) -> Found:
        there = self._object(named)
        with self.connection.pipeline():
            server = self._ask("audit_server")
            shared = [self._tuples("audit_shared", only=[there.oid] if there.catalog in _SHARED else [])]
            if there.kind == "parameter" and self.connection.info.server_version >= PARAMETERS_SINCE:
                shared.append(self._tuples("audit_parameters", only=[named.name]))
            rest = [
                self._tuples("audit_relations", only=there.reads),
                self._tuples("audit_columns", only=there.reads),
            ]
            schema = there.oid if there.kind == "schema" else there.schema
            if schema is not None:
                rest.append(self._tuples("audit_objects", only=[schema], catalog="pg_catalog.pg_namespace"))
            if there.catalog not in {*_SHARED, "", "pg_catalog.pg_class", "pg_catalog.pg_namespace"}:
                rest.append(self._tuples("audit_objects", only=[there.oid], catalog=there.catalog))
            policies, views = self._ask("audit_policies", only=there.reads), self._ask("audit_views", only=there.reads)
            parts = self._ask("audit_parts", only=there.reads)
        found = tuple(objects_of(row) for rows in (*shared, *rest) for row in rows)
        here = server.fetchone()
        if here is None:
            raise UsageError("The database is gone.", "Run it again.")
        others = {here.owner} | {oid for o in found for e in o.entries for oid in (e.grantee, e.grantor)}
        others |= {objects.owner for objects in found}
        roles = self._ask("why_roles", role=role_name, others=sorted(others)).fetchall()
        asked = next((row.oid for row in roles if row.name == role_name), None)
        if asked is None:
            raise UsageError(f"There is no role {shown(role_name)}.", "Roles are named as they are, without quotes.")
        rights = Rights(
            system_identifier=here.system_identifier,
            version=here.version,
            in_recovery=here.in_recovery,
            database=here.database,
            owner=here.owner,
            roles={row.oid: role(row) for row in roles},
            memberships=tuple(sorted((m for row in roles for m in memberships(row)), key=place_of)),
            objects=found,
            policies=tuple(policy_of(row) for row in policies),
            views=tuple(views_of(views)),
            parts=tuple(map(parts_of, parts)),
            large_objects_open=here.large_objects_open,
        )
        return Found(rights, asked, _objects(rights, there, named), there.name)

    def _object(self, named: Named) -> _There:
        if named.kind == "parameter":
            return _There("parameter", 0, "", None, "", named.name, [])
        try:
            found = self._ask("why_object", **_parameters(named)).fetchall()
        except (psycopg.DataError, psycopg.errors.SyntaxError, psycopg.errors.InvalidName) as error:
            what = f"{shown(named.name)}({', '.join(map(legible, named.arguments or ()))})"
            raise UsageError(f"{what}: {legible(first_line(error))}.", "Write the types as in SQL.") from None
        if not found:
            raise UsageError(*_not_found(self.connection, named))
        if len(found) > 1:
            several = ", ".join(f"{shown(row.schema_name)}.{legible(row.name)}" for row in found)
            raise UsageError(f"There are several: {several}.", "Say which one, with the types of its arguments.")
        return _There(*found[0])

    def _ask(self, query: str, **parameters: Any) -> psycopg.Cursor[Any]:
        return self.connection.cursor(row_factory=namedtuple_row).execute(load(query), parameters)

    def _tuples(self, query: str, **parameters: Any) -> psycopg.Cursor[Any]:
        return self.connection.execute(load(query), parameters)


def _parameters(named: Named) -> Mapping[str, Any]:
    is_number = named.kind == "large object" and named.name.isdecimal()
    return {
        "kind": named.kind,
        "name": named.name,
        "schema": named.schema,
        "column": named.column,
        "arguments": None if named.arguments is None else list(named.arguments),
        "number": named.name if is_number else "",
    }


def _not_found(connection: psycopg.Connection[Any], named: Named) -> tuple[str, str]:
    where = f"in the database {shown(connection.info.dbname)}"
    names = [part for part in (named.schema, named.name, named.column) if part]
    arguments = "" if named.arguments is None else f"({', '.join(map(legible, named.arguments))})"
    return (
        f"There is no {named.kind} {shown(*names)}{arguments} {where}.",
        "Names with capitals or signs are quoted, as in SQL; --database names another database.",
    )


def _objects(rights: Rights, there: _There, named: Named) -> Objects:
    """Return what was asked about; what has no ACL of its own, and is in no catalog of them, gets an empty one."""
    match there.kind:
        case "relation" | "column":
            relation = rights.relation(there.schema_name, named.name)
            columns = rights.columns_of(there.schema_name, named.name)
            alone = next((several for several in columns if there.name in several.names), None)
            found = relation if there.kind == "relation" else alone
            if found is None and relation is not None:
                found = Objects("column", relation.schema, relation.owner, (), (there.name,), relation=named.name)
        case "parameter":
            found = rights.find("parameter", there.name) or Objects("parameter", "", 10, (), (there.name,))
        case "schema" | "database" | "tablespace":
            found = rights.find(there.kind, there.name)
        case kind:
            found = next((objects for objects in rights.objects if objects.kind == kind), None)
    if found is None:
        raise UsageError(
            f"{shown(there.name)} has no privileges of its own.",
            "Arrays and the row types of tables go with what they are made of.",
        )
    return found
